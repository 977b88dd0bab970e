# SPDX-License-Identifier: Apache-2.0
"""A client of sandboxd: dangerous work in a container of its own, made for it and destroyed after.

    from sandboxd import Sandbox

    result = Sandbox().run("code", ["python3", "-c", "print(6 * 7)"])
    print(result.verdict, result.stdout.text)

    client.py, async_client.py          what can be asked; the same twice
    connection.py, async_connection.py  the socket, waiting or on asyncio
    call.py, calls.py, request.py       what is sent, and how answers are read, without I/O
    http11.py, lines.py, fields.py      HTTP, lines and JSON, each bounded
    result.py, events.py, tasks.py, …   what is answered
    tools/, langchain.py, mcp/          tools for agents
"""

from __future__ import annotations

from .approvals import Approval
from .async_client import AsyncSandbox
from .async_connection import AsyncEventStream
from .budgets import Budget, BudgetSettings, BudgetUnit
from .canaries import Canary, CanarySettings
from .client import Sandbox
from .connection import EventStream
from .errors import (
    Answered,
    Busy,
    ConnectionLost,
    DaemonUnreachable,
    GaveUp,
    NotSandboxd,
    Overrun,
    RequestRefused,
    RunFailed,
    SandboxdError,
    Unavailable,
)
from .events import Finished, OutputPiece, RunEvent, Started, TaskChanged, TaskEvent, UnknownEvent
from .info import Leak, Profile, Status
from .measures import Receipt, Timing, Usage
from .request import DirectOptions, File, RunOptions, Secret, TaskOptions, TaskRequest
from .result import Artifact, Output, Reached, RefusedArtifact, Result, SeenCall
from .tasks import Attempt, Submitted, Task, TaskLine

__version__ = "0.1.0"

__all__ = [
    "Answered",
    "Approval",
    "Artifact",
    "AsyncEventStream",
    "AsyncSandbox",
    "Attempt",
    "Budget",
    "BudgetSettings",
    "BudgetUnit",
    "Busy",
    "Canary",
    "CanarySettings",
    "ConnectionLost",
    "DaemonUnreachable",
    "DirectOptions",
    "EventStream",
    "File",
    "Finished",
    "GaveUp",
    "Leak",
    "NotSandboxd",
    "Output",
    "OutputPiece",
    "Overrun",
    "Profile",
    "Reached",
    "Receipt",
    "RefusedArtifact",
    "RequestRefused",
    "Result",
    "RunEvent",
    "RunFailed",
    "RunOptions",
    "Sandbox",
    "SandboxdError",
    "Secret",
    "SeenCall",
    "Started",
    "Status",
    "Submitted",
    "Task",
    "TaskChanged",
    "TaskEvent",
    "TaskLine",
    "TaskOptions",
    "TaskRequest",
    "Timing",
    "Unavailable",
    "UnknownEvent",
    "Usage",
]
