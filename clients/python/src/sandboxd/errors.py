# SPDX-License-Identifier: Apache-2.0
"""Why something did not happen.

    SandboxdError
        DaemonUnreachable   nobody listens on the socket
        Answered            the daemon answered, and did not do it
            RequestRefused      the request is at fault (400, 404, 409, 413, …)
            Busy                not now: try again after `retry_after` seconds (429, 503)
            Unavailable         not until somebody mends the daemon (500, 503)
        ConnectionLost      the daemon went away in the middle; the outcome is unknown
        GaveUp              the answer took longer than this client waits
        NotSandboxd         what answers there does not speak as the daemon does
        Overrun             an answer is larger than this client reads
        RunFailed           `Result.check`: the run's verdict is not ok

A run that ends badly is no error but a result with a verdict, until `check` is asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .result import Result


class SandboxdError(Exception):
    """Anything that this package raises of its own, but ValueError for senseless arguments."""


class DaemonUnreachable(SandboxdError):
    """Nobody listens on the socket, or it is not ours to use. Nothing happened."""

    def __init__(self, message: str, socket: str) -> None:
        super().__init__(message)
        self.socket = socket


class Answered(SandboxdError):
    """The daemon answered with an error. Nothing was made."""

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str = "",
        field: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        #: The HTTP status.
        self.status = status
        #: A word for programs, as docs/openapi.yaml lists them; empty when there was none.
        self.code = code
        #: The key of the request that is at fault, where the daemon begins with it.
        self.field = field
        #: Seconds after which it may work, when time helps.
        self.retry_after = retry_after


class RequestRefused(Answered):
    """The request is at fault; the same one will be refused again."""


class Busy(Answered):
    """Not now: memory is not free, a budget cannot pay, or the daemon cannot work for a moment."""


class Unavailable(Answered):
    """The daemon cannot do it until somebody mends it, such as an image that is missing."""


class ConnectionLost(SandboxdError):
    """The daemon went away before it had answered in full. What became of it is not known."""

    def __init__(self, message: str, task_id: int | None = None) -> None:
        super().__init__(message)
        #: The task that was asked about, which is kept and can be looked up again.
        self.task_id = task_id


class GaveUp(SandboxdError, TimeoutError):
    """The answer took longer than this client waits. A direct run was cancelled by that."""


class NotSandboxd(SandboxdError):
    """What answers there does not speak as the daemon does."""


class Overrun(SandboxdError):
    """An answer is larger than this client was told to read."""

    def __init__(self, message: str, result: Result | None = None) -> None:
        super().__init__(message)
        #: The run's result without artifacts, when those were too large.
        self.result = result


class RunFailed(SandboxdError):
    """A run ended with another verdict than ok."""

    def __init__(self, message: str, result: Result) -> None:
        super().__init__(message)
        self.result = result
