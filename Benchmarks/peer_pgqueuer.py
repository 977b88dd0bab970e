# SPDX-License-Identifier: Apache-2.0
"""Fills or drains a queue of PgQueuer. Run by peers.py, in the environment that has it.

    peer_pgqueuer.py fill COUNT
    peer_pgqueuer.py drain BATCH     says "ready", waits for a line, and ends with the queue
"""

import json
import sys

import asyncpg
import uvloop
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.queries import Queries
from pgqueuer.types import QueueExecutionMode

FILL_BATCH = 5000


def payload(number):
    """As large as a task of ours."""
    command = f"echo {number}".ljust(160, ".")
    return json.dumps({"argv": ["/bin/sh", "-c", command]}).encode()


async def fill(count):
    queries = Queries(AsyncpgDriver(await asyncpg.connect()))
    await queries.install()
    for first in range(0, count, FILL_BATCH):
        numbers = range(first, min(count, first + FILL_BATCH))
        await queries.enqueue(
            ["job"] * len(numbers), [payload(number) for number in numbers], [0] * len(numbers))


async def drain(batch):
    queue = PgQueuer.from_asyncpg_connection(await asyncpg.connect())

    @queue.entrypoint("job")
    async def job(_):
        pass

    print("ready", flush=True)
    sys.stdin.readline()
    await queue.run(batch_size=batch, mode=QueueExecutionMode.drain)


# The loop that its own command line takes.
uvloop.run({"fill": fill, "drain": drain}[sys.argv[1]](int(sys.argv[2])))
