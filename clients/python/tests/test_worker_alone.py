# SPDX-License-Identifier: Apache-2.0
"""The example of an operator's worker, where no daemon is needed to see what it does."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from support.fake import FakeDaemon, answer
from support.waiting import SLOWNESS, eventually, processes_with

from sandboxd import AsyncSandbox, SandboxdError

pytest.importorskip("psycopg")
EXAMPLES = Path(
    os.environ.get("SANDBOXD_EXAMPLES", Path(__file__).parent.parent.parent.parent / "examples")
)
sys.path.insert(0, str(EXAMPLES / "worker"))
from leases import Lease, Outcome
from work import Canary, perform
from worker import HostWorker

Fake = Callable[..., FakeDaemon]
#: Stands for the command line: it notes its options, and becomes the command.
PLAIN = 'while [ "$1" != -- ]; do echo "$1"; shift; done >>"$0.log"; shift; exec "$@"'


class GivenQueue:
    """The queue of one worker: tasks that a test gives, and what was settled."""

    def __init__(self, *specs: dict[str, Any]) -> None:
        self._ready = [Lease(number, 1, spec) for number, spec in enumerate(specs, 1)]
        #: Asked at every beat: whether somebody wants all tasks to end.
        self.is_cancelled: Callable[[], bool] = lambda: False
        #: Done before an attempt is settled.
        self.settling: Callable[[], None] = lambda: None
        self.settled: list[tuple[int, str]] = []

    async def register(self, node: str, ttl: float) -> int:
        return 1

    async def lease(self, worker: int, most: int) -> list[Lease]:
        leases, self._ready = self._ready[:most], self._ready[most:]
        return leases

    async def beat(self, worker: int, ttl: float, leases: list[Lease]) -> list[tuple[int, int]]:
        return [lease.key for lease in leases] if self.is_cancelled() else []

    async def complete(self, lease: Lease, outcome: Outcome) -> bool:
        self.settling()
        # The database takes its time.
        for _ in range(100):
            await asyncio.sleep(0)
        self.settled.append((lease.task_id, outcome.verdict))
        return True


@pytest.fixture
def marker() -> Iterator[str]:
    """A word among a command's arguments; what has it when the test ends is killed."""
    word = f"marker-{uuid.uuid4().hex}"
    yield word
    for pid in processes_with(word):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str], str]:
    """Makes a program that stands for the command line, of a shell's words."""

    def make(words: str) -> str:
        path = tmp_path / "sandboxd"
        path.write_text(f"#!/bin/sh\n{words}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return str(path)

    return make


def do(canary: Canary, argv: list[str], socket: str = "/nowhere", **spec: Any) -> Outcome:
    """Does one task."""
    lease = Lease(17, 1, {"argv": argv, **spec})
    return asyncio.run(perform(lease, canary, AsyncSandbox(socket)))


def host_worker(queue: GivenQueue, ttl: float, program: str) -> HostWorker:
    """A worker whose commands all stay on this host."""
    canary = Canary("0", "code", program)
    return HostWorker(queue, "n", ttl * SLOWNESS, 4, canary, AsyncSandbox("/nowhere"))


def test_an_attempt_that_has_ended_is_settled_although_the_worker_stops(
    program: Callable[[str], str],
) -> None:
    async def main() -> GivenQueue:
        stopping = asyncio.Event()
        queue = GivenQueue({"argv": ["true"]}, {"argv": ["sleep", "100"]})
        queue.settling = stopping.set
        await host_worker(queue, 60, program(PLAIN)).serve(stopping, pause=0.05)
        return queue

    # The first was done; the second is given back.
    assert sorted(asyncio.run(main()).settled) == [(1, "ok"), (2, "snoozed")]


def test_a_command_that_does_not_hear_is_killed_however_often_it_is_cancelled(
    program: Callable[[str], str], marker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("program.GRACE", 2.0 * SLOWNESS)
    ready = tmp_path / "ready"
    argv = ["sh", "-c", f"trap '' TERM; touch {ready}; sleep 100; true", marker]

    async def main() -> GivenQueue:
        stopping = asyncio.Event()
        queue = GivenQueue({"argv": argv})
        beats = 0

        def cancelled() -> bool:
            nonlocal beats
            beats += ready.exists()
            if beats == 3:
                stopping.set()
            return beats > 0

        queue.is_cancelled = cancelled
        await host_worker(queue, 2, program(PLAIN)).serve(stopping, pause=0.02)
        assert beats == 3
        return queue

    assert asyncio.run(main()).settled == [(1, "cancelled")]
    assert not processes_with(marker)


def test_a_command_past_its_time_is_killed_although_it_is_cancelled_meanwhile(
    program: Callable[[str], str], marker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("program.GRACE", 60.0)
    told = tmp_path / "told"
    script = f"trap 'touch {told}' TERM; while true; do sleep 0.1; done"
    canary = Canary("0", "code", program(PLAIN), timeout=2 * SLOWNESS)

    async def main() -> None:
        lease = Lease(17, 1, {"argv": ["sh", "-c", script, marker]})
        task = asyncio.create_task(perform(lease, canary, AsyncSandbox("/nowhere")))
        await asyncio.to_thread(eventually, told.exists)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert not processes_with(marker)


def test_what_a_command_leaves_in_the_background_ends_with_its_time(
    program: Callable[[str], str], marker: str
) -> None:
    canary = Canary("0", "code", program(PLAIN), timeout=1)
    outcome = do(canary, ["sh", "-c", f"sh -c 'sleep 100; true' {marker} & exit 0"])
    assert outcome.verdict == "wall_time" and outcome.wall_ms >= 1000
    eventually(lambda: not processes_with(marker))


def test_a_group_that_is_gone_is_sent_no_signal_though_its_output_is_open(
    program: Callable[[str], str], marker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("program.GRACE", 0.1)
    sent = []
    killpg = os.killpg

    def noted(group: int, number: int) -> None:
        if number:
            sent.append(number)
        killpg(group, number)

    monkeypatch.setattr("os.killpg", noted)
    canary = Canary("0", "code", program(PLAIN), timeout=2 * SLOWNESS)
    outcome = do(canary, ["sh", "-c", f"setsid -f sh -c 'sleep 100; true' {marker}; exit 0"])
    assert outcome.verdict == "wall_time"
    assert not sent


@pytest.mark.parametrize(("percent", "is_inside"), [("0", False), ("100.00", True)])
def test_a_stored_percentage_is_asked_for_before_the_command_runs(
    fake: Fake, program: Callable[[str], str], percent: str, is_inside: bool
) -> None:
    path = program(PLAIN)
    socket = fake(answer({"profile": "code", "percent": percent})).socket
    # As the command itself, and as the command line would report of it.
    argv = ["echo", json.dumps({"verdict": "ok", "exit_code": 0, "stdout": "hello"})]
    outcome = do(Canary("stored", "code", path), argv, socket)
    assert (outcome.verdict, outcome.exit_code) == ("ok", 0)
    assert outcome.report is not None and outcome.report["sandboxed"] == is_inside
    said = Path(path + ".log").read_text().split()
    # It is told what this decided by: the two can never differ.
    assert said[said.index("--canary") + 1] == f"{float(percent):.2f}"


def test_who_cannot_know_where_a_task_belongs_runs_it_nowhere(
    fake: Fake, program: Callable[[str], str]
) -> None:
    path = program(PLAIN)
    with pytest.raises(SandboxdError):
        do(Canary("stored", "code", path), ["true"])
    for percent in ("2.345", "101"):
        with pytest.raises(ValueError, match="percentage is"):
            do(Canary(percent, "code", path), ["true"])
    assert not Path(path + ".log").exists()


@pytest.mark.parametrize("verdict", ["pids", "output", "disk"])
def test_a_sandboxed_command_that_was_ended_for_a_cap_is_not_tried_again(
    program: Callable[[str], str], verdict: str
) -> None:
    report = {"verdict": verdict, "exit_code": None, "stdout": "x" * 100_000}
    path = program(f"cat <<'END'\n{json.dumps(report)}\nEND\nexit 125")
    outcome = do(Canary("100", "code", path), ["true"])
    assert (outcome.verdict, outcome.exit_code) == (verdict, None)
    assert outcome.report == {**report, "sandboxed": True}


def test_a_sandboxed_command_s_own_125_is_its_own(program: Callable[[str], str]) -> None:
    path = program("""echo '{"verdict": "exit", "exit_code": 125}'; exit 125""")
    outcome = do(Canary("100", "code", path), ["true"])
    assert (outcome.verdict, outcome.exit_code) == ("exit", 125)


def test_what_sandboxd_did_not_do_is_tried_again(program: Callable[[str], str]) -> None:
    path = program("echo 'sandboxd: nobody there' >&2; exit 125")
    outcome = do(Canary("100", "code", path), ["true"])
    assert outcome.verdict == "engine_error"
    assert outcome.report == {"error": {"message": "sandboxd: nobody there"}}
    # The daemon was stopped: the task was not cancelled by anybody.
    path = program("""echo '{"verdict": "cancelled", "exit_code": null}'; exit 125""")
    assert do(Canary("100", "code", path), ["true"]).verdict == "engine_error"


def test_a_tool_whose_daemon_is_stopped_is_tried_again(fake: Fake) -> None:
    socket = fake(answer({"verdict": "cancelled"})).socket
    outcome = do(Canary("0", "code", "/nowhere"), ["true"], socket, tool="code")
    assert outcome.verdict == "engine_error"


def test_what_a_direct_run_has_paid_is_not_charged_again(
    fake: Fake, program: Callable[[str], str]
) -> None:
    usage = {"cpu_ms": 70.5, "wall_ms": 90, "memory_peak_bytes": 50 << 20, "egress_bytes": 4}
    report = {"verdict": "exit", "exit_code": 3, "usage": usage}
    of_tool = do(Canary("0", "code"), ["x"], fake(answer(report)).socket, tool="code")
    path = program(f"echo '{json.dumps(report)}'; exit 3")
    for outcome in (of_tool, do(Canary("100", "code", path), ["x"])):
        assert (outcome.verdict, outcome.exit_code) == ("exit", 3)
        paid = (outcome.cpu_ms, outcome.memory_mib_s, outcome.wall_ms, outcome.egress_bytes)
        assert paid == (0, 0, 0, 0)
        # What it used is told all the same.
        assert outcome.report is not None and outcome.report["usage"] == usage
    # Nobody else has paid for the time of a command on this host.
    on_host = do(Canary("0", "code", program(PLAIN)), ["sleep", "0.1"])
    assert on_host.verdict == "ok" and on_host.wall_ms >= 100
