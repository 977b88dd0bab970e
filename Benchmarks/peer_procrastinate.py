# SPDX-License-Identifier: Apache-2.0
"""Fills or drains a queue of Procrastinate. Run by peers.py, in the environment that has it.

    peer_procrastinate.py fill COUNT
    peer_procrastinate.py drain BATCH     says "ready", waits for a line, and ends with the queue
"""

import asyncio
import logging
import sys

import procrastinate

FILL_BATCH = 5000
# There are no batches: each is fetched alone, and so many are at work side by side.
CONCURRENCY = 10

# It warns of an app in the main module, which this one is.
logging.getLogger("procrastinate").setLevel(logging.ERROR)

# Where the server is comes by PGHOST and the like.
app = procrastinate.App(connector=procrastinate.PsycopgConnector())


@app.task
async def job(argv):
    """As large as a task of ours, and nothing to do."""


async def fill(count):
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        for first in range(0, count, FILL_BATCH):
            commands = [
                f"echo {number}".ljust(160, ".")
                for number in range(first, min(count, first + FILL_BATCH))
            ]
            await job.batch_defer_async(
                *[{"argv": ["/bin/sh", "-c", command]} for command in commands])


async def drain(_):
    async with app.open_async():
        print("ready", flush=True)
        sys.stdin.readline()
        # No worker has to be told of what is there already; notifying is left out in its favour.
        await app.run_worker_async(
            concurrency=CONCURRENCY, wait=False, listen_notify=False,
            install_signal_handlers=False)


asyncio.run({"fill": fill, "drain": drain}[sys.argv[1]](int(sys.argv[2])))
