# SPDX-License-Identifier: Apache-2.0
"""Tools for LangChain and LangGraph: `pip install sandboxd[langchain]`.

    from sandboxd.langchain import sandbox_tools

    tools = sandbox_tools(allow=["example.com:443"])

Each tool's message is text for the model, and its artifact the run's whole `Result`. What the
daemon refuses is a message, too, for the model can often mend it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.tools import BaseTool, StructuredTool, ToolException

from .async_client import AsyncSandbox
from .client import Sandbox
from .errors import SandboxdError
from .result import Result
from .tools.inputs import checked
from .tools.jobs import TOOLS, Job, Tool
from .tools.report import TEXT_LIMIT, describe
from .tools.settings import Settings


def sandbox_tools(
    socket: str | None = None,
    *,
    profile_code: str = "code",
    profile_shell: str = "shell",
    profile_browser: str = "browser",
    allow: Sequence[str] = (),
    text_limit: int = TEXT_LIMIT,
) -> list[BaseTool]:
    """Answers the tools `run_code`, `run_shell` and `browse`, which run in the daemon's sandboxes.

    `allow` names places, as host:port, that `browse` may reach. Of each stream a model gets
    `text_limit` letters at most.
    """
    settings = Settings(profile_code, profile_shell, profile_browser, tuple(allow))
    return [_SandboxTool(tool, settings, socket, text_limit).structured() for tool in TOOLS]


class _SandboxTool:
    """One tool, for callers who wait and for asyncio."""

    def __init__(
        self, tool: Tool, settings: Settings, socket: str | None, text_limit: int
    ) -> None:
        self._tool = tool
        self._settings = settings
        self._sandbox = Sandbox(socket)
        self._async_sandbox = AsyncSandbox(socket)
        self._text_limit = text_limit

    def structured(self) -> StructuredTool:
        """The same as LangChain has it."""
        return StructuredTool.from_function(
            func=self.run,
            coroutine=self.arun,
            name=self._tool.name,
            description=self._tool.description,
            args_schema=self._tool.input,
            response_format="content_and_artifact",
            handle_tool_error=True,
        )

    def run(self, **arguments: Any) -> tuple[str, Result]:
        """Runs it, and answers what the model reads, and the result."""
        try:
            job = self._job(arguments)
            result = self._sandbox.run(job.profile, job.argv, **job.options)
        except (SandboxdError, ValueError) as error:
            raise ToolException(str(error)) from error
        return describe(result, job.shown, self._text_limit), result

    async def arun(self, **arguments: Any) -> tuple[str, Result]:
        """The same on asyncio. Cancelling it cancels the run."""
        try:
            job = self._job(arguments)
            result = await self._async_sandbox.run(job.profile, job.argv, **job.options)
        except (SandboxdError, ValueError) as error:
            raise ToolException(str(error)) from error
        return describe(result, job.shown, self._text_limit), result

    def _job(self, arguments: dict[str, Any]) -> Job:
        return self._tool.job(checked(self._tool.input, arguments), self._settings)
