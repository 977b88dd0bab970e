# SPDX-License-Identifier: Apache-2.0
"""Starting programs the cheapest way there is, as the user that the daemon runs as."""

import contextlib
import os
import time

_NULL = os.open("/dev/null", os.O_RDWR)
_STREAMS = [(os.POSIX_SPAWN_DUP2, _NULL, number) for number in (0, 1, 2)]


def become(uid, gid):
    """Acts as that user from now on; `as_root` goes back for a moment.

    Programs that are started from here on have no way back: the saved id does not survive execve.
    """
    if os.getuid() != 0 or uid == 0:
        return
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, 0)


def come_back():
    """Is root again for good, if it was root who became somebody else."""
    if os.getresuid()[2] == 0:
        os.setresuid(0, 0, 0)
        os.setresgid(0, 0, 0)


@contextlib.contextmanager
def as_root():
    """Looks at what only root may see. Without root, it is the caller who looks."""
    uid, _, saved = os.getresuid()
    if saved != 0:
        yield
        return
    os.setresuid(0, 0, 0)
    try:
        yield
    finally:
        os.setresuid(uid, uid, 0)


class ProgramError(Exception):
    """A program that is compared with does not work here."""


def run(command, environment):
    """Runs a program to its end, with nothing to read and nobody to listen."""
    pid = os.posix_spawn(command[0], command, environment, file_actions=_STREAMS)
    _, status = os.waitpid(pid, 0)
    if status != 0:
        code = os.waitstatus_to_exitcode(status)
        raise ProgramError(f"{' '.join(command)}: status {code}")


def milliseconds(action):
    """How long an action takes."""
    start = time.perf_counter_ns()
    action()
    return (time.perf_counter_ns() - start) / 1e6
