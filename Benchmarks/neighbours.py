# SPDX-License-Identifier: Apache-2.0
"""What sandboxd is compared with: commands that do a part of the same on this machine."""

import json
import os
import shutil
import subprocess
import tempfile

ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}

# What the profile sets for Python.
PYTHON_ENVIRONMENT = {
    **ENVIRONMENT, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1",
}


def bwrap(root, *command):
    """The same root, /proc, /dev, a tmpfs and all namespaces; no caps, no filter, no cgroup."""
    program = shutil.which("bwrap")
    if program is None:
        raise SystemExit("bench: bwrap is missing: run scripts/install-packages bench")
    return [
        program, "--unshare-all", "--ro-bind", root, "/", "--proc", "/proc", "--dev", "/dev",
        "--tmpfs", "/workspace", *command,
    ]


def unshare(*command):
    """All namespaces and nothing in them: what the kernel asks for them alone."""
    return [
        "/usr/bin/unshare", "--user", "--map-root-user", "--mount", "--net", "--ipc", "--uts",
        "--cgroup", "--pid", "--fork", *command,
    ]


def python(root, *arguments):
    """The image's own Python, with its own libraries, outside of any sandbox."""
    libraries = ":".join(
        os.path.join(root, path) for path in ("lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu"))
    command = [
        os.path.join(root, "lib64/ld-linux-x86-64.so.2"), "--library-path", libraries,
        os.path.join(root, "usr/bin/python3"), *arguments,
    ]
    return command, {**PYTHON_ENVIRONMENT, "PYTHONHOME": os.path.join(root, "usr")}


class Runtimes:
    """The OCI runtimes of this machine, each with a bundle of the image's root."""

    def __init__(self, root):
        self._root = root
        self._directory = tempfile.TemporaryDirectory(prefix="sandboxd-bench.")

    def commands(self):
        """Name and command of those that are installed."""
        for name in ("crun", "runc"):
            program = shutil.which(name)
            if program:
                yield name, self._command(name, program)

    def _command(self, name, program):
        bundle = os.path.join(self._directory.name, name)
        os.mkdir(bundle)
        subprocess.run([program, "spec", "--rootless"], cwd=bundle, check=True)
        path = os.path.join(bundle, "config.json")
        with open(path, encoding="utf-8") as file:
            config = json.load(file)
        config["root"] = {"path": self._root, "readonly": True}
        config["process"]["terminal"] = False
        config["process"]["args"] = ["/bin/true"]
        with open(path, "w", encoding="utf-8") as file:
            json.dump(config, file)
        state = os.path.join(self._directory.name, name + ".state")
        return [program, "--root", state, "run", "--bundle", bundle, f"bench-{os.getpid()}"]
