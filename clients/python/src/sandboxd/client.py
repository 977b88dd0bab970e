# SPDX-License-Identifier: Apache-2.0
"""The daemon, for callers who wait for its answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

from . import calls, socket_path
from .approvals import Approval
from .budgets import Budget, BudgetSettings
from .call import ANSWER_LIMIT, Call
from .canaries import Canary, CanarySettings
from .connection import EventStream, exchange
from .events import RunEvent, TaskEvent, place_in_run, place_in_task
from .fetching import ARTIFACT_LIMIT, Fetching
from .info import Leak, Profile, Status
from .request import DirectOptions, TaskOptions, TaskRequest
from .result import Result
from .tasks import Submitted, Task, TaskLine

if TYPE_CHECKING:
    from typing_extensions import Unpack

T = TypeVar("T")


class Sandbox:
    """A daemon, by its socket. Every call is a connection of its own, so threads may share this."""

    def __init__(
        self,
        socket: str | None = None,
        *,
        answer_limit: int = ANSWER_LIMIT,
        artifact_limit: int = ARTIFACT_LIMIT,
    ) -> None:
        """Takes the socket's path; without one, the usual place (`socket_path.standard`).

        No more than `answer_limit` bytes are read of one answer or event, and no more than
        `artifact_limit` of one run's artifacts together; what is larger raises `Overrun`.
        """
        self.socket = socket_path.standard() if socket is None else socket
        self._answer_limit = answer_limit
        self._artifact_limit = artifact_limit

    # Runs

    def run(self, profile: str, argv: Sequence[str], **options: Unpack[DirectOptions]) -> Result:
        """Runs a command to its end, and answers what became of it, artifacts included.

        Leaving it by an exception, KeyboardInterrupt included, cancels the run.
        """
        return self.fetch_artifacts(self._ask(calls.run(profile, argv, options)))

    def stream(
        self, profile: str, argv: Sequence[str], **options: Unpack[DirectOptions]
    ) -> EventStream[RunEvent]:
        """Runs a command, and gives events as they happen; the last one is `Finished`.

        The run begins with the first event that is asked for. Closing the stream cancels it.
        """
        call = calls.stream(profile, argv, options)
        return EventStream(self.socket, call, self._answer_limit, place_in_run)

    def fetch_artifacts(self, result: Result) -> Result:
        """Answers the same result with its artifacts' contents: for streams and tasks."""
        fetching = Fetching(result, self._artifact_limit)
        for sha256, call in fetching.calls():
            fetching.take(sha256, self._ask(call))
        return fetching.result()

    def artifact(self, sha256: str) -> bytes:
        """Answers the content of an artifact, by its digest."""
        return self._ask(calls.artifact(sha256, self._artifact_limit))

    def attempt(self, attempt_id: str) -> Result:
        """Answers the report of an attempt that has ended, with less of a long output."""
        return self._ask(calls.attempt(attempt_id))

    # Tasks

    def submit(
        self, profile: str, argv: Sequence[str], **options: Unpack[TaskOptions]
    ) -> Submitted:
        """Puts a task into the queue."""
        return self._ask(calls.submit(profile, argv, options))

    def submit_many(self, tasks: Sequence[TaskRequest]) -> tuple[Submitted, ...]:
        """Puts tasks into the queue: all, or none when one is refused."""
        return self._ask(calls.submit_many(tasks))

    def task(self, task_id: int) -> Task:
        """Answers all that is known of a task."""
        return self._ask(calls.task(task_id))

    def tasks(self, state: str | None = None, limit: int = 100) -> list[TaskLine]:
        """Answers tasks, newest first, at most `limit` of them."""
        found: list[TaskLine] = []
        while call := calls.next_page(state, found, limit):
            page = self._ask(call)
            found += page
            if len(page) < calls.PAGE_LIMIT:
                break
        return found

    def follow(
        self, task_id: int, *, output: bool = False, timeout: float | None = None
    ) -> EventStream[TaskEvent]:
        """Gives a task's states until it has ended; with `output`, also what it writes.

        The task goes on when the stream is closed. Output is told while the task runs on this
        daemon's node.
        """
        call = calls.follow(task_id, output, timeout)
        return EventStream(self.socket, call, self._answer_limit, place_in_task)

    def wait(self, task_id: int, timeout: float | None = None) -> Task:
        """Waits until a task has ended, and answers it.

        After `timeout` seconds it raises `GaveUp`, and the task goes on.
        """
        for _ in self.follow(task_id, timeout=timeout):
            pass
        return self.task(task_id)

    def cancel(self, task_id: int) -> str:
        """Cancels a task; answers its state now, `cancelling` while its node has yet to hear."""
        return self._ask(calls.cancel(task_id))

    def retry(self, task_id: int) -> str:
        """Gives a task that ended badly another round of attempts; answers its state now."""
        return self._ask(calls.retry(task_id))

    # Approvals

    def approvals(self) -> tuple[Approval, ...]:
        """Answers the tasks that wait for a person's word, oldest first."""
        return self._ask(calls.approvals())

    def approve(self, task_id: int, digest: str, by: str, why: str | None = None) -> str:
        """Lets such a task run, as a person who saw what `digest` is of decided."""
        return self._ask(calls.decide(task_id, "approve", digest, by, why))

    def deny(self, task_id: int, digest: str, by: str, why: str | None = None) -> str:
        """Ends such a task."""
        return self._ask(calls.decide(task_id, "deny", digest, by, why))

    # Budgets

    def budgets(self) -> tuple[Budget, ...]:
        """Answers all budgets."""
        return self._ask(calls.budgets())

    def budget(self, name: str) -> Budget:
        """Answers one budget."""
        return self._ask(calls.budget(name))

    def set_budget(self, name: str, **settings: Unpack[BudgetSettings]) -> Budget:
        """Makes a budget, or changes what is named; answers it as it is now."""
        return self._ask(calls.set_budget(name, settings))

    # Canaries

    def canaries(self) -> tuple[Canary, ...]:
        """Answers the canaries that were ever set."""
        return self._ask(calls.canaries())

    def canary(self, profile: str) -> Canary:
        """Answers which share of a profile's tasks goes to sandboxes."""
        return self._ask(calls.canary(profile))

    def set_canary(self, profile: str, **settings: Unpack[CanarySettings]) -> Canary:
        """Changes what is named, and moves tasks that wait; answers the canary as it is now."""
        return self._ask(calls.set_canary(profile, settings))

    # The daemon itself

    def profiles(self) -> tuple[Profile, ...]:
        """Answers the profiles that a run can name."""
        return self._ask(calls.profiles())

    def status(self) -> Status:
        """Answers what the daemon does now."""
        return self._ask(calls.status())

    def leaks(self) -> tuple[Leak, ...]:
        """Answers what was left behind on the daemon's node: nothing, when all is well."""
        return self._ask(calls.leaks())

    def drain(self, draining: bool = True) -> bool:
        """Lets the daemon's node take no new tasks, or take them again."""
        return self._ask(calls.drain(draining))

    def _ask(self, call: Call[T]) -> T:
        return exchange(self.socket, call, self._answer_limit)
