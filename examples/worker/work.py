# SPDX-License-Identifier: Apache-2.0
"""Doing one task: its command through the canary, or its tool in a sandbox.

    {"argv": ["./report", "--month", "5"]}              the task's own command, as before sandboxd
    {"argv": ["python3", "-c", "…"], "tool": "code"}    a tool: always in a sandbox, by its profile

Cancelling ends what runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from dataclasses import dataclass
from typing import Any

from leases import Lease, Outcome
from sandboxd import AsyncSandbox, SandboxdError
from sandboxd.canary import inside

OUTPUT_LIMIT = 64 << 10
#: Seconds between a polite end and a hard one.
GRACE = 5.0


@dataclass(frozen=True)
class Canary:
    """Which share of the direct commands runs in a sandbox, and how."""

    percent: str
    profile: str
    program: str = "sandboxd"
    socket: str | None = None
    #: Seconds that a command may take, with all that it leaves in the background.
    timeout: float = 3600.0


async def perform(lease: Lease, canary: Canary, sandbox: AsyncSandbox) -> Outcome:
    """Does what the task says, and answers how it ended."""
    argv = [str(word) for word in lease.spec["argv"]]
    if "tool" in lease.spec:
        return await _tool(sandbox, str(lease.spec["tool"]), argv, lease.spec)
    return await _command(str(lease.task_id), argv, canary)


async def _tool(
    sandbox: AsyncSandbox, profile: str, argv: list[str], spec: dict[str, Any]
) -> Outcome:
    try:
        result = await sandbox.run(profile, argv, files=spec.get("files", {}), artifacts=False)
    except (SandboxdError, ValueError) as error:
        return Outcome("engine_error", report={"error": {"message": str(error)}})
    peak = (result.usage.memory_peak_bytes or 0) >> 20
    return Outcome(
        verdict=result.verdict,
        exit_code=result.exit_code,
        cpu_ms=int(result.usage.cpu_ms),
        memory_mib_s=int(peak * result.usage.wall_ms / 1000),
        wall_ms=int(result.usage.wall_ms),
        egress_bytes=result.usage.egress_bytes,
        report=dict(result.raw),
    )


async def _command(task_id: str, argv: list[str], canary: Canary) -> Outcome:
    """Runs the command by `sandboxd run --canary`, which is the command itself for the others."""
    command = [canary.program, "run", "--profile", canary.profile, "--quiet"]
    command += ["--canary", canary.percent, "--task-id", task_id]
    if canary.socket is not None:
        command += ["--socket", canary.socket]
    started = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *command,
        "--",
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None and process.stderr is not None
    work = asyncio.gather(_kept(process.stdout), _kept(process.stderr), process.wait())
    try:
        output, errors, status = await asyncio.wait_for(work, canary.timeout)
    except asyncio.TimeoutError:
        return Outcome("wall_time", wall_ms=int(canary.timeout * 1000))
    finally:
        await _end(process)
    is_inside = inside(task_id, float(canary.percent))
    verdict = _verdict(status, is_inside)
    return Outcome(
        verdict,
        exit_code=status if verdict in ("ok", "exit") else None,
        wall_ms=int((time.monotonic() - started) * 1000),
        report={
            "verdict": verdict,
            "sandboxed": is_inside,
            "stdout": output.decode("utf-8", "replace"),
            "stderr": errors.decode("utf-8", "replace"),
        },
    )


def _verdict(status: int, is_inside: bool) -> str:
    if status == 0:
        return "ok"
    if status < 0:
        return "signal"
    # Of a sandboxed command, 125 says that sandboxd failed: the queue tries it again.
    return "engine_error" if is_inside and status == 125 else "exit"


async def _kept(stream: asyncio.StreamReader) -> bytes:
    """Reads to the end, and keeps the beginning."""
    kept = b""
    while piece := await stream.read(OUTPUT_LIMIT):
        kept += piece[: OUTPUT_LIMIT - len(kept)]
    return kept


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ends the command and all of its session, when it has not ended by itself."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(process.wait(), GRACE)
