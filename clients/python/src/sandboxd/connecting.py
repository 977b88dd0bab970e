# SPDX-License-Identifier: Apache-2.0
"""Reaching the daemon's socket, and saying why it cannot be reached."""

from __future__ import annotations

import errno
import os
import socket
import time

from .errors import DaemonUnreachable, GaveUp

PATH_LIMIT = 107
READ_BYTES = 64 << 10
#: A queue of callers that is full is tried again after this many seconds.
RETRY_PAUSE = 0.02


class Deadline:
    """When an exchange is given up."""

    def __init__(self, patience: float, what: str) -> None:
        self._end = time.monotonic() + patience
        self._patience = patience
        self._what = what

    def left(self) -> float:
        """Answers the seconds that are left; raises GaveUp when none are."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise self.passed()
        return left

    def passed(self) -> GaveUp:
        """What it means that the time is over."""
        return GaveUp(f"no answer to {self._what} within {self._patience:g} s")


def try_connect(path: str) -> socket.socket | None:
    """Answers a connected socket that does not block; None when the daemon's queue is full.

    A Unix socket connects at once or not at all.
    """
    if len(os.fsencode(path)) > PATH_LIMIT:
        raise DaemonUnreachable(
            f"the socket's path is {len(os.fsencode(path))} bytes long, and the kernel takes "
            f"{PATH_LIMIT}: give a shorter one ({path})",
            path,
        )
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        connection.setblocking(False)
        connection.connect(path)
    except BlockingIOError:
        connection.close()
        return None
    except OSError as error:
        connection.close()
        raise DaemonUnreachable(_reason(path, error), path) from None
    except BaseException:
        connection.close()
        raise
    return connection


def _reason(path: str, error: OSError) -> str:
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"{path} belongs to another user: run this as the user that runs the daemon"
    return (
        f"no daemon answers on {path} ({error.strerror or error}): start it with 'sandboxd serve', "
        "or name its socket by Sandbox(socket=…) or $SANDBOXD_SOCKET"
    )
