# SPDX-License-Identifier: Apache-2.0
"""The queue as this worker sees it: the SQL functions of the schema `sandboxd`, and nothing else.

`Sources/Tasks/Schema` says what each does. All of them may be called by several workers at once.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import psycopg


class WorkerOver(Exception):
    """This worker was silent for too long, and its leases were taken away."""


@dataclass(frozen=True)
class Lease:
    """A task that is ours until we settle it, or are silent for too long."""

    task_id: int
    #: Grows with each lease of the task: who comes late with an old number changes nothing.
    fence: int
    spec: dict[str, Any]

    @property
    def key(self) -> tuple[int, int]:
        """What tells this lease from all others."""
        return self.task_id, self.fence


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended, and what the task's budget pays for it."""

    verdict: str
    exit_code: int | None = None
    #: What another budget has paid is left out here, and told in the report.
    cpu_ms: int = 0
    memory_mib_s: int = 0
    wall_ms: int = 0
    egress_bytes: int = 0
    report: dict[str, Any] | None = None


class Queue:
    """One connection to the database. A statement is a transaction."""

    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        self._connection = connection

    @classmethod
    async def connect(cls, target: str) -> Queue:
        """Connects; `target` is a connection string of PostgreSQL's."""
        connection = await psycopg.AsyncConnection.connect(
            target, autocommit=True, connect_timeout=10
        )
        return cls(connection)

    async def close(self) -> None:
        """Ends the connection."""
        await self._connection.close()

    async def register(self, node: str, ttl: float) -> int:
        """Makes us a worker of the pool `host`; an earlier one of this name is over."""
        [(worker,)] = await self._rows(
            "SELECT sandboxd.register_worker(%s, %s, 'host')", (node, ttl)
        )
        return int(worker)

    async def lease(self, worker: int, most: int) -> list[Lease]:
        """Takes tasks that are ready, as many as their budgets can pay."""
        try:
            rows = await self._rows(
                "SELECT task_id, fence, spec FROM sandboxd.lease(%s, %s)", (worker, most)
            )
        except psycopg.Error as error:
            if error.sqlstate == "SB007":
                raise WorkerOver from error
            raise
        return [Lease(task_id, fence, spec) for task_id, fence, spec in rows]

    async def beat(self, worker: int, ttl: float, leases: list[Lease]) -> list[tuple[int, int]]:
        """Says that we live; answers the leases that are to end, because somebody wants it so or
        because they are not ours any more."""
        zeros = [0] * len(leases)
        rows = await self._rows(
            "SELECT task_id, fence, why FROM sandboxd.heartbeat(%s, %s, %s::bigint[], %s::int[], "
            "%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])",
            (
                worker,
                ttl,
                [lease.task_id for lease in leases],
                [lease.fence for lease in leases],
                zeros,
                zeros,
                zeros,
                zeros,
            ),
        )
        if any(why == "over" for _, _, why in rows):
            raise WorkerOver
        return [(task_id, fence) for task_id, fence, _ in rows]

    async def complete(self, lease: Lease, outcome: Outcome) -> bool:
        """Settles an attempt; says whether it counted, which it does not when it comes too late."""
        settled = await self._rows(
            "SELECT task_id FROM sandboxd.complete(%s::bigint[], %s::int[], %s::text[], %s::int[], "
            "%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::text[])",
            (
                [lease.task_id],
                [lease.fence],
                [outcome.verdict],
                [outcome.exit_code],
                [outcome.cpu_ms],
                [outcome.memory_mib_s],
                [outcome.wall_ms],
                [outcome.egress_bytes],
                [json.dumps(outcome.report or {})],
            ),
        )
        return bool(settled)

    async def _rows(self, statement: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        cursor = await self._connection.execute(statement.encode(), values)
        return await cursor.fetchall()
