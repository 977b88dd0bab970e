# SPDX-License-Identifier: Apache-2.0
"""Tasks of the queue, and their attempts."""

from __future__ import annotations

from dataclasses import dataclass, field

from .events import has_ended
from .fields import Fields, Raw
from .result import Result, read_result


@dataclass(frozen=True)
class Submitted:
    """A task that is in the queue."""

    task_id: int
    #: False when its key was known, and this is the task of then.
    created: bool
    raw: Raw = field(repr=False, compare=False)


@dataclass(frozen=True)
class TaskLine:
    """A task as lists have it. Moments are texts as the database writes them."""

    task_id: int
    #: `ready`, `delayed`, `awaiting_approval`, `running`, `succeeded`, `failed`, `cancelled`, …
    state: str
    profile: str
    budget: str
    priority: int
    #: Of the last attempt.
    verdict: str | None
    exit_code: int | None
    attempts_counted: int
    created_at: str
    finished_at: str | None
    #: The node that runs it.
    claimed_by: str | None
    raw: Raw = field(repr=False, compare=False)

    @property
    def has_ended(self) -> bool:
        """Whether the task is known to have ended."""
        return has_ended(self.state)


@dataclass(frozen=True)
class Attempt:
    """One attempt at a task that has ended, and what its budget paid for it."""

    attempt_id: str
    attempt: int
    #: Grows with every lease of the task.
    fence: int
    verdict: str
    exit_code: int | None
    leased_at: str
    finished_at: str
    #: None for an attempt that was lost, or that could not begin.
    result: Result | None
    #: Why it could not begin.
    error: str | None
    raw: Raw = field(repr=False, compare=False)


@dataclass(frozen=True)
class Task(TaskLine):
    """All that is known of a task."""

    pool: str
    key: str | None
    max_attempts: int
    cancel_requested: bool
    #: What was asked for, large inputs by their digest.
    spec: Raw
    attempts: tuple[Attempt, ...]

    @property
    def result(self) -> Result | None:
        """The report of the last attempt; None when there is none."""
        return self.attempts[-1].result if self.attempts else None


def read_submitted(fields: Fields) -> Submitted:
    """Reads what is answered for one task."""
    return Submitted(fields.whole("task_id"), fields.flag("created", True), fields.raw)


def read_task_line(fields: Fields) -> TaskLine:
    """Reads a line of a list."""
    return TaskLine(
        task_id=fields.whole("task_id"),
        state=fields.text("state"),
        profile=fields.text("profile"),
        budget=fields.text("budget", "default"),
        priority=fields.whole("priority"),
        verdict=fields.optional_text("verdict"),
        exit_code=fields.optional_whole("exit_code"),
        attempts_counted=fields.whole("attempts_counted"),
        created_at=fields.text("created_at"),
        finished_at=fields.optional_text("finished_at"),
        claimed_by=fields.optional_text("claimed_by"),
        raw=fields.raw,
    )


def read_task(fields: Fields) -> Task:
    """Reads all of a task."""
    line = read_task_line(fields)
    return Task(
        **vars(line),
        pool=fields.text("pool", "sandbox"),
        key=fields.optional_text("key"),
        max_attempts=fields.whole("max_attempts"),
        cancel_requested=fields.flag("cancel_requested"),
        spec=fields.member("spec").raw,
        attempts=fields.list_of("attempts", _attempt),
    )


def _attempt(fields: Fields) -> Attempt:
    report = fields.optional_member("report")
    is_error = report is not None and "verdict" not in report.raw
    return Attempt(
        attempt_id=fields.text("attempt_id"),
        attempt=fields.whole("attempt"),
        fence=fields.whole("fence"),
        verdict=fields.text("verdict"),
        exit_code=fields.optional_whole("exit_code"),
        leased_at=fields.text("leased_at"),
        finished_at=fields.text("finished_at"),
        result=read_result(report) if report is not None and not is_error else None,
        error=report.member("error").text("message") if report is not None and is_error else None,
        raw=fields.raw,
    )
