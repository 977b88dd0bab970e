# SPDX-License-Identifier: Apache-2.0
"""One exchange over the daemon's socket, for callers who wait."""

from __future__ import annotations

import math
import select
import time
from collections.abc import Callable
from types import TracebackType
from typing import Generic, TypeVar

from .call import AnswerReader, Call, EventReader
from .connecting import READ_BYTES, RETRY_PAUSE, Deadline, try_connect
from .events import Place

T = TypeVar("T")

#: Milliseconds that one poll takes at most; the kernel's argument is an int.
LONGEST_POLL = 2**31 - 1


class Connection:
    """A connection that asks one thing. Closing it cancels the run that it waits for."""

    def __init__(self, path: str, request: bytes, deadline: Deadline) -> None:
        self._deadline = deadline
        self._unsent = memoryview(request)
        while (connected := try_connect(path)) is None:
            time.sleep(min(RETRY_PAUSE, deadline.left()))
        self._socket = connected
        self._poll = select.poll()

    def receive(self) -> bytes:
        """Answers what comes next; nothing when the connection has ended.

        It sends what is not sent yet meanwhile: the daemon may refuse before it has read all.
        """
        while True:
            wanted = select.POLLIN | (select.POLLOUT if self._unsent else 0)
            self._poll.register(self._socket, wanted)
            left = math.ceil(self._deadline.left() * 1000)
            ready = self._poll.poll(min(left, LONGEST_POLL))
            try:
                if ready and ready[0][1] & ~select.POLLOUT:
                    return self._socket.recv(READ_BYTES)
                if ready:
                    self._unsent = self._unsent[self._socket.send(self._unsent) :]
            except BlockingIOError:
                continue
            except BrokenPipeError:
                # It reads no more; why, its answer says.
                self._unsent = memoryview(b"")
            except ConnectionError:
                return b""

    def close(self) -> None:
        """Ends it; again is no error."""
        self._socket.close()


def exchange(path: str, call: Call[T], limit: int) -> T:
    """Asks, and answers the answer's value."""
    reader = AnswerReader(call, limit)
    connection = Connection(path, call.request(), _deadline(call))
    try:
        while not reader.receive(connection.receive()):
            pass
    finally:
        connection.close()
    return reader.value()


class EventStream(Generic[T]):
    """Events as they come. The first `next` asks; the end, `close`, or an error ends it.

    It is an iterator and a context manager. Whoever leaves a loop early and keeps the stream should
    close it, or use `with`: a run goes on for as long as its stream is open.
    """

    def __init__(self, path: str, call: Call[T], limit: int, place: Callable[[T], Place]) -> None:
        self._path = path
        self._call = call
        self._reader = EventReader(call, limit, place)
        self._connection: Connection | None = None
        self._is_closed = False

    def __iter__(self) -> EventStream[T]:
        return self

    def __next__(self) -> T:
        if self._is_closed:
            raise StopIteration
        try:
            if self._connection is None:
                deadline = _deadline(self._call)
                self._connection = Connection(self._path, self._call.request(), deadline)
            while (event := self._reader.next()) is None:
                if self._reader.has_ended:
                    raise StopIteration
                self._reader.receive(self._connection.receive())
        except BaseException:
            self.close()
            raise
        if self._reader.has_ended:
            self.close()
        return event

    def close(self) -> None:
        """Ends the connection, which cancels a run that goes on. A followed task is left alone."""
        self._is_closed = True
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def __enter__(self) -> EventStream[T]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        # A loop that was left, over a stream that nobody has any more.
        if not getattr(self, "_is_closed", True):
            self.close()


def _deadline(call: Call[T]) -> Deadline:
    return Deadline(call.patience, f"{call.method} {call.path}")
