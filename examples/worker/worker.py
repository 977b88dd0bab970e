# SPDX-License-Identifier: Apache-2.0
"""A worker of the operator's: leases tasks of the pool `host`, and does them on this host.

    python3 worker.py --database 'host=… dbname=…' --canary 10 --profile browser

It registers, leases what it has room for, beats while it works, and settles what has ended. When
the database does not answer in time, it ends everything, for the tasks are somebody else's then.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import signal
import socket
import time
from collections.abc import Awaitable
from typing import TypeVar

from leases import Lease, Outcome, Queue, WorkerOver
from sandboxd import AsyncSandbox
from work import Canary, perform

T = TypeVar("T")

log = logging.getLogger("worker")


class Attempt:
    """A lease, and the asyncio task that does what it says."""

    def __init__(self, lease: Lease, doing: asyncio.Task[Outcome]) -> None:
        self.lease = lease
        self.doing = doing
        #: The verdict to settle it with when it was cancelled; None while nobody has.
        self.ended_as: str | None = None

    def end(self, verdict: str) -> None:
        """Cancels it, once: a second time would hit it while it ends what runs."""
        if self.ended_as is None:
            self.ended_as = verdict
            self.doing.cancel()


class HostWorker:
    """What this worker holds, and how long it may.

    It fails when the database does: whoever started it starts it again, and meanwhile nothing runs.
    """

    def __init__(
        self, queue: Queue, node: str, ttl: float, room: int, canary: Canary, sandbox: AsyncSandbox
    ) -> None:
        self._queue = queue
        self._node = node
        self._ttl = ttl
        self._room = room
        self._canary = canary
        self._sandbox = sandbox
        #: With what settles each afterwards, which nobody cancels.
        self._working: dict[tuple[int, int], tuple[Attempt, asyncio.Task[None]]] = {}
        #: Why an attempt could not be settled.
        self._failure: Exception | None = None
        #: One statement at a time.
        self._turn = asyncio.Lock()

    async def serve(self, stopping: asyncio.Event, pause: float = 1.0) -> None:
        """Works until it is told to stop; what goes on then is given back to the queue."""
        worker, beat_at = await self._register(), time.monotonic()
        try:
            while not stopping.is_set():
                if self._failure is not None:
                    raise self._failure
                try:
                    if time.monotonic() - beat_at >= self._ttl / 4:
                        beat_at = await self._beat(worker)
                    await self._lease(worker)
                except WorkerOver:
                    log.warning("this worker was silent for too long, and registers anew")
                    await self._end_all()
                    worker, beat_at = await self._register(), time.monotonic()
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(stopping.wait(), min(pause, self._ttl / 8))
        finally:
            await self._end_all()

    async def _register(self) -> int:
        return await self._ask(self._queue.register(self._node, self._ttl))

    async def _beat(self, worker: int) -> float:
        """Beats, ends what is to end, and answers when the beat was sent."""
        leases = [attempt.lease for attempt, _ in self._working.values()]
        sent = time.monotonic()
        for key in await self._ask(self._queue.beat(worker, self._ttl, leases)):
            if key in self._working:
                self._working[key][0].end("cancelled")
        return sent

    async def _lease(self, worker: int) -> None:
        room = self._room - len(self._working)
        if room < 1:
            return
        for lease in await self._ask(self._queue.lease(worker, room)):
            log.info("task %d: begins", lease.task_id)
            doing = asyncio.create_task(perform(lease, self._canary, self._sandbox))
            attempt = Attempt(lease, doing)
            self._working[lease.key] = attempt, asyncio.create_task(self._settle(attempt))

    async def _settle(self, attempt: Attempt) -> None:
        lease = attempt.lease
        try:
            outcome = await attempt.doing
        except asyncio.CancelledError:
            # Of a lease that is lost, the queue knows by its fence.
            outcome = Outcome(attempt.ended_as or "snoozed")
        except Exception as error:
            log.exception("task %d", lease.task_id)
            outcome = Outcome("engine_error", report={"error": {"message": str(error)}})
        try:
            counted = await self._ask(self._queue.complete(lease, outcome))
            late = "" if counted else ", too late"
            log.info("task %d: %s%s", lease.task_id, outcome.verdict, late)
        except Exception as error:
            self._failure = error
        finally:
            del self._working[lease.key]

    async def _ask(self, statement: Awaitable[T]) -> T:
        """Asks the database; an answer that takes too long is none, for our leases run out."""
        async with self._turn:
            return await asyncio.wait_for(statement, self._ttl / 4)

    async def _end_all(self) -> None:
        """Ends all that goes on, and settles it; what has ended already, as it has ended.

        Who stops gives tasks back, and those attempts do not count. What the queue cannot hear of
        it, its next sweep finds out.
        """
        working = list(self._working.values())
        for attempt, _ in working:
            attempt.end("snoozed")
        await asyncio.gather(*(settling for _, settling in working), return_exceptions=True)


async def main() -> None:
    """Reads the command line, and works until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(description="Does tasks of the pool host.")
    parser.add_argument("--database", required=True, metavar="TARGET")
    parser.add_argument(
        "--canary", default="0", metavar="PERCENT", help="of commands, by task id; or 'stored'"
    )
    parser.add_argument("--profile", default="code", metavar="NAME", help="of sandboxed commands")
    parser.add_argument("--socket", metavar="PATH", help="the daemon's socket")
    parser.add_argument("--program", default="sandboxd", metavar="PATH", help="the command line")
    parser.add_argument("--node", default=f"{socket.gethostname()}-host", metavar="NAME")
    parser.add_argument("--room", type=int, default=4, metavar="N", help="tasks at once")
    parser.add_argument("--ttl", type=float, default=30.0, metavar="SECONDS")
    parser.add_argument("--timeout", type=float, default=3600.0, metavar="SECONDS")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")

    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    queue = await Queue.connect(options.database)
    canary = Canary(
        options.canary, options.profile, options.program, options.socket, options.timeout
    )
    try:
        await HostWorker(
            queue, options.node, options.ttl, options.room, canary, AsyncSandbox(options.socket)
        ).serve(stopping)
    finally:
        await queue.close()


if __name__ == "__main__":
    asyncio.run(main())
