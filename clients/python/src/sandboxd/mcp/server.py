# SPDX-License-Identifier: Apache-2.0
"""The tools as an MCP server has them: text, and pictures as pictures."""

from __future__ import annotations

import base64
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.types import (
    CallToolRequestParams,
    CallToolResult,
    ContentBlock,
    ImageContent,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
)
from mcp.types import Tool as ListedTool

from .. import __version__
from ..async_client import AsyncSandbox
from ..errors import SandboxdError
from ..result import Result
from ..tools.inputs import checked
from ..tools.jobs import TOOLS, Job, Tool
from ..tools.pictures import pictures
from ..tools.report import describe
from ..tools.settings import Settings

#: Verdicts that say that the sandbox failed, and not what ran in it.
_FAILED = ("engine_error", "lease_lost", "cancelled")


def make_server(sandbox: AsyncSandbox, settings: Settings) -> Server[Any]:
    """Answers a server whose tools run in the daemon's sandboxes.

    A request that the client cancels, or a client that goes away, cancels its run.
    """

    async def list_tools(
        context: ServerRequestContext[Any], params: PaginatedRequestParams | None
    ) -> ListToolsResult:
        return ListToolsResult(tools=[_listed(tool) for tool in TOOLS])

    async def call_tool(
        context: ServerRequestContext[Any], params: CallToolRequestParams
    ) -> CallToolResult:
        try:
            job = _job(params, settings)
            result = await sandbox.run(job.profile, job.argv, **job.options)
        except (SandboxdError, ValueError) as error:
            return CallToolResult(content=[TextContent(text=str(error))], is_error=True)
        return _answer(result, job)

    return Server(
        "sandboxd", version=__version__, on_list_tools=list_tools, on_call_tool=call_tool
    )


def _listed(tool: Tool) -> ListedTool:
    schema = tool.input.model_json_schema()
    return ListedTool(name=tool.name, description=tool.description, input_schema=schema)


def _job(params: CallToolRequestParams, settings: Settings) -> Job:
    for tool in TOOLS:
        if tool.name == params.name:
            return tool.job(checked(tool.input, params.arguments or {}), settings)
    known = ", ".join(tool.name for tool in TOOLS)
    raise ValueError(f"there is no tool '{params.name[:100]}' (known: {known})")


def _answer(result: Result, job: Job) -> CallToolResult:
    content: list[ContentBlock] = [TextContent(text=describe(result, job.shown))]
    for _, kind, picture in pictures(result.artifacts):
        data = base64.b64encode(picture).decode("ascii")
        content.append(ImageContent(data=data, mime_type=kind))
    return CallToolResult(content=content, is_error=result.verdict in _FAILED)
