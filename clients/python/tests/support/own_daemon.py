# SPDX-License-Identifier: Apache-2.0
"""A daemon of a test's own: the program and the images of the shared one, on another directory."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

from sandboxd import Sandbox, SandboxdError

from .waiting import SLOWNESS, eventually


class OwnDaemon:
    """Started when made, and answering; it must be stopped."""

    def __init__(
        self, *options: str, profiles: str | None = None, images: str | None = None
    ) -> None:
        shared = _Shared.find()
        self.directory = Path(tempfile.mkdtemp(prefix="sandboxd-"))
        self.socket = str(self.directory / "s")
        self._command = [
            *("sh", "-c", 'ulimit -Sn "$(ulimit -Hn)"; exec "$@"', "sh"),
            *("setpriv", "--pdeathsig", "TERM", shared.program),
            *("--state", str(self.directory / "state"), "--socket", self.socket),
            *("--profiles", profiles or shared.options["--profiles"]),
            *("--init-program", shared.options["--init-program"]),
            *("--images", images or shared.options["--images"]),
        ]
        # Few want a database, which takes seconds to make.
        self._options = options if "--database" in options else (*options, "--database", "none")
        self._environment = {**shared.environment, "HOME": str(self.directory)}
        self.start()

    @property
    def sandbox(self) -> Sandbox:
        """A client of it."""
        return Sandbox(self.socket)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def start(self) -> None:
        """Starts it, again after an end."""
        with open(self.directory / "log", "ab") as log:
            self._process = subprocess.Popen(
                [*self._command, *self._options],
                env=self._environment,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        eventually(self._answers, 30)

    def kill(self) -> None:
        """Kills it without a warning."""
        self._process.kill()
        self._process.wait(30 * SLOWNESS)

    def stop(self) -> None:
        """Lets it end, and removes what it had."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(30 * SLOWNESS)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
        shutil.rmtree(self.directory)

    def log(self) -> str:
        """What it said."""
        return (self.directory / "log").read_text(errors="replace")

    def _answers(self) -> bool:
        assert self._process.poll() is None, self.log()
        try:
            self.sandbox.status()
        except SandboxdError:
            return False
        return True


class _Shared:
    """What the shared daemon was started with."""

    def __init__(self, pid: int) -> None:
        words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1]
        self.program = words[0]
        self.options = dict(zip(words[1::2], words[2::2], strict=False))
        pairs = Path(f"/proc/{pid}/environ").read_text().split("\0")[:-1]
        self.environment = dict(pair.split("=", 1) for pair in pairs)

    @classmethod
    def find(cls) -> _Shared:
        """Skips the test where no daemon can be started beside the shared one."""
        pid = int(os.environ["SANDBOXD_DAEMON_PID"])
        if os.stat(f"/proc/{pid}").st_uid != os.geteuid():
            pytest.skip("the tests are not run as the daemon's user")
        if os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
            pytest.skip("on cgroup v2 only root can start another daemon")
        return cls(pid)


def profiles_with(directory: Path, network: str) -> str:
    """Answers a directory with the shipped profiles and one more, `net`: `code` with a network."""
    target = directory / "profiles"
    shutil.copytree(_Shared.find().options["--profiles"], target)
    code = (target / "code.yaml").read_text()
    net = code.replace("name: code", "name: net").replace("network: none", network)
    (target / "net.yaml").write_text(net)
    return str(target)
