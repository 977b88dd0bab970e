# SPDX-License-Identifier: Apache-2.0
"""Running one program to its end, or ending it with all that it has started."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
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
    try:
        await asyncio.wait([running], timeout=timeout)
        return Ended(*running.result()) if running.done() else None
    finally:
        if not running.done():
            await _end(process.pid, running)


async def _kept(stream: asyncio.StreamReader, limit: int) -> bytes:
    """Reads to the end, and keeps the beginning."""
    kept = bytearray()
    while piece := await stream.read(OUTPUT_LIMIT):
        kept += piece[: limit - len(kept)]
    return bytes(kept)


async def _end(group: int, running: asyncio.Future[Any]) -> None:
    """Ends a program and its process group: politely, and what is left after a while, hard."""
    try:
        await _kill(group, signal.SIGTERM, running)
    finally:
        # Also when this is cancelled meanwhile, as it may be once.
        if not running.done():
            await _kill(group, signal.SIGKILL, running)
        # What has left the group may keep the output open.
        running.cancel()


async def _kill(group: int, number: int, running: asyncio.Future[Any]) -> None:
    """Sends a signal, and gives it time to help."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)
    await asyncio.wait([running], timeout=GRACE)
