# SPDX-License-Identifier: Apache-2.0
"""Doing one task: its command through the canary, or its tool in a sandbox.

    {"argv": ["./report", "--month", "5"]}              the task's own command, as before sandboxd
    {"argv": ["python3", "-c", "…"], "tool": "code"}    a tool: always in a sandbox, by its profile

Cancelling ends what runs.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from leases import Lease, Outcome
from program import OUTPUT_LIMIT, Ended, run
from sandboxd import AsyncSandbox, SandboxdError
from sandboxd.canary import inside

#: Bytes of a sandboxed command's report, which has its output in it.
REPORT_LIMIT = 64 << 20


@dataclass(frozen=True)
class Canary:
    """Which share of the direct commands runs in a sandbox, and how."""

    #: Or `stored`: what `sandboxd canary set` says of the profile, asked anew for each task.
    percent: str
    profile: str
    program: str = "sandboxd"
    socket: str | None = None
    #: Seconds that a command may take, with all that it leaves in the background.
    timeout: float = 3600.0


async def perform(lease: Lease, canary: Canary, sandbox: AsyncSandbox) -> Outcome:
    """Does what the task says, and answers how it ended.

    Cancelling it once ends what runs; a second time would cut that short.
    """
    argv = [str(word) for word in lease.spec["argv"]]
    if "tool" in lease.spec:
        return await _tool(sandbox, str(lease.spec["tool"]), argv, lease.spec)
    # First of all: who cannot know where a task belongs runs it nowhere.
    if canary.percent == "stored":
        percent = (await sandbox.canary(canary.profile)).percent
    else:
        percent = Decimal(canary.percent)
    return await _command(str(lease.task_id), argv, canary, percent)


async def _tool(
    sandbox: AsyncSandbox, profile: str, argv: list[str], spec: dict[str, Any]
) -> Outcome:
    try:
        result = await sandbox.run(profile, argv, files=spec.get("files", {}), artifacts=False)
    except (SandboxdError, ValueError) as error:
        return _not_done(str(error))
    return _sandboxed(result.verdict, result.exit_code, dict(result.raw))


async def _command(task_id: str, argv: list[str], canary: Canary, percent: Decimal) -> Outcome:
    """Runs the command by `sandboxd run --canary`, which is the command itself for the others."""
    is_inside = inside(task_id, percent)
    command = [canary.program, "run", "--profile", canary.profile, "--quiet"]
    command += ["--canary", f"{percent:.2f}", "--task-id", task_id]
    if canary.socket is not None:
        command += ["--socket", canary.socket]
    if is_inside:
        # The exit status alone is 125 for a verdict as well as for a daemon that is not there.
        command.append("--json")
    limit = REPORT_LIMIT if is_inside else OUTPUT_LIMIT
    started = time.monotonic()
    ended = await run([*command, "--", *argv], canary.timeout, limit)
    wall_ms = int((time.monotonic() - started) * 1000)
    if ended is None:
        return Outcome("wall_time", wall_ms=0 if is_inside else wall_ms)
    if is_inside:
        return _reported(ended)
    verdict = "ok" if ended.status == 0 else "exit" if ended.status > 0 else "signal"
    return Outcome(
        verdict,
        exit_code=ended.status if ended.status >= 0 else None,
        wall_ms=wall_ms,
        report={
            "verdict": verdict,
            "sandboxed": False,
            "stdout": ended.output.decode("utf-8", "replace"),
            "stderr": ended.errors.decode("utf-8", "replace"),
        },
    )


def _reported(ended: Ended) -> Outcome:
    try:
        report = json.loads(ended.output)
    except ValueError:
        return _not_done(ended.errors.decode("utf-8", "replace").strip())
    return _sandboxed(report["verdict"], report["exit_code"], {**report, "sandboxed": True})


def _sandboxed(verdict: str, exit_code: int | None, report: dict[str, Any]) -> Outcome:
    """A run in a sandbox is a direct run, whose own budget has paid: this one pays nothing more."""
    if verdict == "cancelled":
        # Not by us, or nobody would read this: the daemon was stopped, or the run alone.
        verdict = "engine_error"
    return Outcome(verdict, exit_code, report=report)


def _not_done(why: str) -> Outcome:
    """What sandboxd could not do, the queue tries again."""
    return Outcome("engine_error", report={"error": {"message": why}})
