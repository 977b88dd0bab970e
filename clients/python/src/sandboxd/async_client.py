# SPDX-License-Identifier: Apache-2.0
"""The daemon, for programs on asyncio: the same as `client`, without threads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

from . import calls, socket_path
from .approvals import Approval
from .async_connection import AsyncEventStream, exchange
from .budgets import Budget, BudgetSettings
from .call import ANSWER_LIMIT, Call
from .canaries import Canary, CanarySettings
from .events import RunEvent, TaskEvent, place_in_run, place_in_task
from .fetching import ARTIFACT_LIMIT, Fetching
from .info import Leak, Profile, Status
from .request import DirectOptions, TaskOptions, TaskRequest
from .result import Result
from .tasks import Submitted, Task, TaskLine

if TYPE_CHECKING:
    from typing_extensions import Unpack

T = TypeVar("T")


class AsyncSandbox:
    """A daemon, by its socket. Every call is a connection of its own.

    Cancelling the asyncio task that waits for a run cancels the run.
    """

    def __init__(
        self,
        socket: str | None = None,
        *,
        answer_limit: int = ANSWER_LIMIT,
        artifact_limit: int = ARTIFACT_LIMIT,
    ) -> None:
        """Takes the socket's path, and the limits that `Sandbox` takes."""
        self.socket = socket_path.standard() if socket is None else socket
        self._answer_limit = answer_limit
        self._artifact_limit = artifact_limit

    # Runs

    async def run(
        self, profile: str, argv: Sequence[str], **options: Unpack[DirectOptions]
    ) -> Result:
        """Runs a command to its end, and answers what became of it, artifacts included."""
        return await self.fetch_artifacts(await self._ask(calls.run(profile, argv, options)))

    def stream(
        self, profile: str, argv: Sequence[str], **options: Unpack[DirectOptions]
    ) -> AsyncEventStream[RunEvent]:
        """Runs a command, and gives events as they happen; the last one is `Finished`.

        The run begins with the first event that is asked for. Closing the stream cancels it.
        """
        call = calls.stream(profile, argv, options)
        return AsyncEventStream(self.socket, call, self._answer_limit, place_in_run)

    async def fetch_artifacts(self, result: Result) -> Result:
        """Answers the same result with its artifacts' contents: for streams and tasks."""
        fetching = Fetching(result, self._artifact_limit)
        for sha256, call in fetching.calls():
            fetching.take(sha256, await self._ask(call))
        return fetching.result()

    async def artifact(self, sha256: str) -> bytes:
        """Answers the content of an artifact, by its digest."""
        return await self._ask(calls.artifact(sha256, self._artifact_limit))

    async def attempt(self, attempt_id: str) -> Result:
        """Answers the report of an attempt that has ended, with less of a long output."""
        return await self._ask(calls.attempt(attempt_id))

    # Tasks

    async def submit(
        self, profile: str, argv: Sequence[str], **options: Unpack[TaskOptions]
    ) -> Submitted:
        """Puts a task into the queue."""
        return await self._ask(calls.submit(profile, argv, options))

    async def submit_many(self, tasks: Sequence[TaskRequest]) -> tuple[Submitted, ...]:
        """Puts tasks into the queue: all, or none when one is refused."""
        return await self._ask(calls.submit_many(tasks))

    async def task(self, task_id: int) -> Task:
        """Answers all that is known of a task."""
        return await self._ask(calls.task(task_id))

    async def tasks(self, state: str | None = None, limit: int = 100) -> list[TaskLine]:
        """Answers tasks, newest first, at most `limit` of them."""
        found: list[TaskLine] = []
        while call := calls.next_page(state, found, limit):
            page = await self._ask(call)
            found += page
            if len(page) < calls.PAGE_LIMIT:
                break
        return found

    def follow(
        self, task_id: int, *, output: bool = False, timeout: float | None = None
    ) -> AsyncEventStream[TaskEvent]:
        """Gives a task's states until it has ended; with `output`, also what it writes.

        The task goes on when the stream is closed.
        """
        call = calls.follow(task_id, output, timeout)
        return AsyncEventStream(self.socket, call, self._answer_limit, place_in_task)

    async def wait(self, task_id: int, timeout: float | None = None) -> Task:
        """Waits until a task has ended, and answers it.

        After `timeout` seconds it raises `GaveUp`, and the task goes on.
        """
        async with self.follow(task_id, timeout=timeout) as events:
            async for _ in events:
                pass
        return await self.task(task_id)

    async def cancel(self, task_id: int) -> str:
        """Cancels a task; answers its state now, `cancelling` while its node has yet to hear."""
        return await self._ask(calls.cancel(task_id))

    async def retry(self, task_id: int) -> str:
        """Gives a task that ended badly another round of attempts; answers its state now."""
        return await self._ask(calls.retry(task_id))

    # Approvals

    async def approvals(self) -> tuple[Approval, ...]:
        """Answers the tasks that wait for a person's word, oldest first."""
        return await self._ask(calls.approvals())

    async def approve(self, task_id: int, digest: str, by: str, why: str | None = None) -> str:
        """Lets such a task run, as a person who saw what `digest` is of decided."""
        return await self._ask(calls.decide(task_id, "approve", digest, by, why))

    async def deny(self, task_id: int, digest: str, by: str, why: str | None = None) -> str:
        """Ends such a task."""
        return await self._ask(calls.decide(task_id, "deny", digest, by, why))

    # Budgets

    async def budgets(self) -> tuple[Budget, ...]:
        """Answers all budgets."""
        return await self._ask(calls.budgets())

    async def budget(self, name: str) -> Budget:
        """Answers one budget."""
        return await self._ask(calls.budget(name))

    async def set_budget(self, name: str, **settings: Unpack[BudgetSettings]) -> Budget:
        """Makes a budget, or changes what is named; answers it as it is now."""
        return await self._ask(calls.set_budget(name, settings))

    # Canaries

    async def canaries(self) -> tuple[Canary, ...]:
        """Answers the canaries that were ever set."""
        return await self._ask(calls.canaries())

    async def canary(self, profile: str) -> Canary:
        """Answers which share of a profile's tasks goes to sandboxes."""
        return await self._ask(calls.canary(profile))

    async def set_canary(self, profile: str, **settings: Unpack[CanarySettings]) -> Canary:
        """Changes what is named, and moves tasks that wait; answers the canary as it is now."""
        return await self._ask(calls.set_canary(profile, settings))

    # The daemon itself

    async def profiles(self) -> tuple[Profile, ...]:
        """Answers the profiles that a run can name."""
        return await self._ask(calls.profiles())

    async def status(self) -> Status:
        """Answers what the daemon does now."""
        return await self._ask(calls.status())

    async def leaks(self) -> tuple[Leak, ...]:
        """Answers what was left behind on the daemon's node: nothing, when all is well."""
        return await self._ask(calls.leaks())

    async def drain(self, draining: bool = True) -> bool:
        """Lets the daemon's node take no new tasks, or take them again."""
        return await self._ask(calls.drain(draining))

    async def _ask(self, call: Call[T]) -> T:
        return await exchange(self.socket, call, self._answer_limit)
