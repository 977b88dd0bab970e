# SPDX-License-Identifier: Apache-2.0
"""Running one program to its end, or ending it with all that it has started."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import Process
from dataclasses import dataclass
from typing import Any

#: Bytes that are kept of an output.
OUTPUT_LIMIT = 64 << 10
#: Seconds between a polite end and a hard one.
GRACE = 5.0


@dataclass(frozen=True)
class Ended:
    """How a program has ended, and what it wrote."""

    output: bytes
    errors: bytes
    #: Below 0, the signal that killed it.
    status: int


async def run(command: list[str], timeout: float, limit: int) -> Ended | None:
    """Runs a program to its end and that of its output; answers None when that takes too long."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None and process.stderr is not None
    running = asyncio.gather(
        _kept(process.stdout, limit), _kept(process.stderr, OUTPUT_LIMIT), process.wait()
    )
    group = asyncio.ensure_future(_group_ended(process))
    try:
        await asyncio.wait([running], timeout=timeout)
        return Ended(*running.result()) if running.done() else None
    finally:
        try:
            if not running.done():
                await _end(process.pid, group, running)
        finally:
            group.cancel()
            # Of what holds the output open still: asyncio has no other way to close it.
            process._transport.close()  # type: ignore[attr-defined]


async def _kept(stream: asyncio.StreamReader, limit: int) -> bytes:
    """Reads to the end, and keeps the beginning."""
    kept = bytearray()
    while piece := await stream.read(OUTPUT_LIMIT):
        kept += piece[: limit - len(kept)]
    return bytes(kept)


async def _group_ended(process: Process) -> None:
    """Comes back when nothing is left of a program's group: its number may be a stranger's soon."""
    # Its wait() would wait for its outputs, too.
    while process.returncode is None:
        await asyncio.sleep(0.1)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        while True:
            os.killpg(process.pid, 0)
            await asyncio.sleep(0.1)


async def _end(number: int, group: asyncio.Future[None], running: asyncio.Future[Any]) -> None:
    """Ends a program and its process group: politely, and what is left after a while, hard."""
    try:
        await _kill(number, signal.SIGTERM, group, running)
    finally:
        # Also when this is cancelled meanwhile, as it may be once.
        if not running.done():
            await _kill(number, signal.SIGKILL, group, running)
        # What has left the group may keep the output open.
        running.cancel()
        await asyncio.wait([running])
        with contextlib.suppress(asyncio.CancelledError):
            running.exception()


async def _kill(
    number: int, signal_number: int, group: asyncio.Future[None], running: asyncio.Future[Any]
) -> None:
    """Sends a signal to a group, and gives it time to help."""
    if not group.done():
        with contextlib.suppress(ProcessLookupError):
            os.killpg(number, signal_number)
    await asyncio.wait([running], timeout=GRACE)
