# SPDX-License-Identifier: Apache-2.0
"""What is told of a run or a task while it goes on."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from .fields import Fields, Raw, parse
from .result import Output, Result, read_result


@dataclass(frozen=True)
class Started:
    """The run was let in."""

    attempt_id: str
    raw: Raw = field(repr=False, compare=False)


@dataclass(frozen=True)
class OutputPiece:
    """What was written, as it is written."""

    #: `stdout` or `stderr`.
    stream: str
    data: Output
    #: Where in the stream the piece begins; what lies before it was dropped.
    offset: int
    #: The attempt that wrote it, when a task is followed.
    attempt_id: str | None
    raw: Raw = field(repr=False, compare=False)

    @property
    def text(self) -> str:
        """The piece as UTF-8; a letter that is cut in two becomes U+FFFD."""
        return self.data.text


@dataclass(frozen=True)
class Finished:
    """The run has ended and is torn down. It is the last event."""

    result: Result
    raw: Raw = field(repr=False, compare=False)


@dataclass(frozen=True)
class TaskChanged:
    """A task is in another state than before, or this is the first that is told of it."""

    task_id: int
    state: str
    verdict: str | None
    exit_code: int | None
    attempts_counted: int
    #: The node that runs it.
    claimed_by: str | None
    raw: Raw = field(repr=False, compare=False)

    @property
    def has_ended(self) -> bool:
        """Whether the task is known to have ended."""
        return has_ended(self.state)


@dataclass(frozen=True)
class UnknownEvent:
    """An event that a newer daemon tells of, and this package does not know."""

    name: str
    raw: Raw = field(repr=False)


RunEvent = Started | OutputPiece | Finished | UnknownEvent
TaskEvent = TaskChanged | OutputPiece | UnknownEvent


_OPEN = ("ready", "delayed", "awaiting_approval", "running")
_ENDED = ("succeeded", "failed", "cancelled", "dead", "rejected", "expired")


def has_ended(state: str) -> bool:
    """Whether a task in this state is known to have ended."""
    return state in _ENDED


class Place(enum.Enum):
    """Where an event stands among the others."""

    #: Others come after it.
    INSIDE = 1
    #: It is the last one if the daemon says so by ending its answer.
    PERHAPS_LAST = 2
    LAST = 3


def place_in_run(event: RunEvent) -> Place:
    """A run ends with its result, and in no other way."""
    return Place.LAST if isinstance(event, Finished) else Place.INSIDE


def place_in_task(event: TaskEvent) -> Place:
    """A followed task ends with its last state, which a newer daemon may call anything."""
    if not isinstance(event, TaskChanged) or event.state in _OPEN:
        return Place.INSIDE
    return Place.LAST if event.has_ended else Place.PERHAPS_LAST


def read_run_event(line: bytes) -> RunEvent:
    """Reads a line of a run's live answer."""
    fields = parse(line, "an event of the run")
    name = fields.text("event")
    if name == "started":
        return Started(fields.text("attempt_id"), fields.raw)
    if name in ("stdout", "stderr"):
        return _output(name, fields)
    if name == "result":
        return Finished(read_result(fields.member("result")), fields.raw)
    return UnknownEvent(name, fields.raw)


def read_task_event(line: bytes) -> TaskEvent:
    """Reads a line of what is told of a followed task."""
    fields = parse(line, "an event of the task")
    name = fields.text("event")
    if name in ("stdout", "stderr"):
        return _output(name, fields)
    if name or "state" not in fields.raw:
        return UnknownEvent(name, fields.raw)
    return TaskChanged(
        task_id=fields.whole("task_id"),
        state=fields.text("state"),
        verdict=fields.optional_text("verdict"),
        exit_code=fields.optional_whole("exit_code"),
        attempts_counted=fields.whole("attempts_counted"),
        claimed_by=fields.optional_text("claimed_by"),
        raw=fields.raw,
    )


def _output(stream: str, fields: Fields) -> OutputPiece:
    return OutputPiece(
        stream=stream,
        data=Output(fields.base64("data")),
        offset=fields.whole("offset"),
        attempt_id=fields.optional_text("attempt_id"),
        raw=fields.raw,
    )
