# SPDX-License-Identifier: Apache-2.0
"""One question to the daemon, and the reading of its answer, without any I/O.

A `Call` says what is sent and how the answer is read. `AnswerReader` is fed with what comes, and
gives the value at the end; `EventReader` gives events as they come. Both clients use the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from . import http11
from .errors import ConnectionLost, NotSandboxd, Overrun
from .events import Place
from .lines import LineSplitter
from .refusals import refusal

T = TypeVar("T")

#: What is read of an answer, or of one event, unless the client is told otherwise.
ANSWER_LIMIT = 64 << 20
REFUSAL_LIMIT = 256 << 10
#: Seconds that an answer may take.
PATIENCE = 60.0
#: Seconds after which even a run or a follower without a limit of its own is given up.
LONGEST = 24 * 3600.0


@dataclass(frozen=True)
class Call(Generic[T]):
    """What is sent, and how the answer is read: whole, or line by line for a stream."""

    method: str
    path: str
    read: Callable[[bytes], T]
    body: bytes | None = None
    accept: str = "application/json"
    #: Seconds that the whole exchange may take.
    patience: float = PATIENCE
    #: Of the answer, or of each line; None is what the client was told.
    limit: int | None = None
    #: What it means that the daemon goes away in the middle.
    when_lost: str = "ask again"
    task_id: int | None = None

    def request(self) -> bytes:
        """The bytes that are sent."""
        return http11.request(self.method, self.path, accept=self.accept, body=self.body)


class BodyReader:
    """The body of an answer that is no refusal; a refusal is raised."""

    def __init__(self, call: Call[T]) -> None:
        self._call = call
        self._response = http11.ResponseReader()
        self._refusal = bytearray()

    def receive(self, data: bytes) -> None:
        """Takes what was read; nothing means that the connection has ended."""
        self._response.feed(data)

    def piece(self) -> bytes | None:
        """Answers the next piece of the body, empty at its end; None when more must come."""
        while True:
            try:
                head = self._response.head()
                piece = self._response.body()
            except http11.Truncated:
                raise self.lost() from None
            if head is None or piece is None or 200 <= head.status < 300:
                return piece
            self._refusal += piece
            if len(self._refusal) > REFUSAL_LIMIT:
                raise NotSandboxd(f"an error of more than {REFUSAL_LIMIT} bytes is not sandboxd's")
            if not piece:
                raise refusal(head, bytes(self._refusal))

    def lost(self) -> ConnectionLost:
        """What a connection that ended too early means."""
        when = "before it had answered in full"
        if not self._response.has_heard:
            when = "without a word (it hears only its own user and root)"
        message = f"the daemon went away {when}: {self._call.when_lost}"
        return ConnectionLost(message, self._call.task_id)


class AnswerReader(Generic[T]):
    """Reads an answer that is one value."""

    def __init__(self, call: Call[T], limit: int) -> None:
        self._call = call
        self._body = BodyReader(call)
        self._limit = limit if call.limit is None else call.limit
        self._received = bytearray()

    def receive(self, data: bytes) -> bool:
        """Takes what was read; says whether the answer is whole."""
        self._body.receive(data)
        while (piece := self._body.piece()) is not None:
            if not piece:
                return True
            self._received += piece
            if len(self._received) > self._limit:
                raise Overrun(
                    f"the answer to {self._call.method} {self._call.path} is larger than "
                    f"{self._limit} bytes: give Sandbox a larger answer_limit"
                )
        return False

    def value(self) -> T:
        """The answer's value, when it is whole."""
        return self._call.read(bytes(self._received))


class EventReader(Generic[T]):
    """Reads an answer that is one event a line."""

    def __init__(self, call: Call[T], limit: int, place: Callable[[T], Place]) -> None:
        self._call = call
        self._body = BodyReader(call)
        self._lines = LineSplitter(limit if call.limit is None else call.limit)
        self._place = place
        self._last = Place.INSIDE
        #: Whether there are no more events; nothing more is to be read.
        self.has_ended = False

    def receive(self, data: bytes) -> None:
        """Takes what was read; nothing means that the connection has ended."""
        self._body.receive(data)

    def next(self) -> T | None:
        """Answers the next event; None when more must come, or `has_ended` says that none does.

        An answer that ends before its last event is lost, however properly it ends.
        """
        while True:
            line = self._lines.next()
            if line is not None:
                if not line.strip():
                    continue
                event = self._call.read(line)
                self._last = self._place(event)
                self.has_ended = self._last is Place.LAST
                return event
            piece = self._body.piece()
            if piece is None:
                return None
            if not piece:
                if self._last is Place.INSIDE:
                    raise self._body.lost()
                self.has_ended = True
                return None
            self._lines.feed(piece)
