# SPDX-License-Identifier: Apache-2.0
"""One exchange over the daemon's socket, on asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Generic, TypeVar

from .call import AnswerReader, Call, EventReader
from .connecting import READ_BYTES, RETRY_PAUSE, Deadline, try_connect
from .events import Place

T = TypeVar("T")


class AsyncConnection:
    """A connection that asks one thing. Closing it cancels the run that it waits for."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, deadline: Deadline
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._deadline = deadline
        self._is_given_up = False

    @classmethod
    async def open(cls, path: str, request: bytes, deadline: Deadline) -> AsyncConnection:
        """Connects, and begins to send the request.

        It is sent while the answer is waited for: the daemon may refuse before it has read all.
        """
        while (connected := try_connect(path)) is None:
            await asyncio.sleep(min(RETRY_PAUSE, deadline.left()))
        try:
            reader, writer = await asyncio.open_unix_connection(sock=connected, limit=READ_BYTES)
        except BaseException:
            connected.close()
            raise
        writer.write(request)
        return cls(reader, writer, deadline)

    async def receive(self) -> bytes:
        """Answers what comes next; nothing when the connection has ended."""
        # No `wait_for`: before Python 3.12 it loses a cancellation that comes when a read has just
        # finished, and who was told to stop would listen on.
        timer = asyncio.get_running_loop().call_later(self._deadline.left(), self._give_up)
        try:
            data = await self._reader.read(READ_BYTES)
        except ConnectionError:
            data = b""
        finally:
            timer.cancel()
        if self._is_given_up:
            raise self._deadline.passed()
        return data

    def close(self) -> None:
        """Ends it at once, whatever is not sent; again is no error."""
        self._writer.transport.abort()

    def _give_up(self) -> None:
        """Ends it when the time is over, and with it the read that waits."""
        self._is_given_up = True
        self.close()


async def exchange(path: str, call: Call[T], limit: int) -> T:
    """Asks, and answers the answer's value. Cancelling it closes the connection."""
    reader = AnswerReader(call, limit)
    connection = await AsyncConnection.open(path, call.request(), _deadline(call))
    try:
        while not reader.receive(await connection.receive()):
            pass
    finally:
        connection.close()
    return reader.value()


class AsyncEventStream(Generic[T]):
    """Events as they come. The first `anext` asks; the end, `aclose`, or an error ends it.

    It is an asynchronous iterator and context manager. Whoever leaves a loop early and keeps the
    stream should close it, or use `async with`: a run goes on for as long as its stream is open.
    """

    def __init__(self, path: str, call: Call[T], limit: int, place: Callable[[T], Place]) -> None:
        self._path = path
        self._call = call
        self._reader = EventReader(call, limit, place)
        self._connection: AsyncConnection | None = None
        self._is_closed = False
        self._loop: asyncio.AbstractEventLoop | None = None

    def __aiter__(self) -> AsyncEventStream[T]:
        return self

    async def __anext__(self) -> T:
        if self._is_closed:
            raise StopAsyncIteration
        try:
            if self._connection is None:
                self._loop = asyncio.get_running_loop()
                deadline = _deadline(self._call)
                self._connection = await AsyncConnection.open(
                    self._path, self._call.request(), deadline
                )
            while (event := self._reader.next()) is None:
                if self._reader.has_ended:
                    raise StopAsyncIteration
                self._reader.receive(await self._connection.receive())
        except BaseException:
            self._close()
            raise
        if self._reader.has_ended:
            self._close()
        return event

    async def aclose(self) -> None:
        """Ends the connection, which cancels a run that goes on. A followed task is left alone."""
        self._close()

    def _close(self) -> None:
        self._is_closed = True
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def __aenter__(self) -> AsyncEventStream[T]:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    def __del__(self) -> None:
        # A loop that was left, over a stream that nobody has any more. This may be another thread.
        connection, loop = getattr(self, "_connection", None), getattr(self, "_loop", None)
        if connection is not None and loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(connection.close)


def _deadline(call: Call[T]) -> Deadline:
    return Deadline(call.patience, f"{call.method} {call.path}")
