# SPDX-License-Identifier: Apache-2.0
"""The MCP server, by a real client over standard input and output."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from support.waiting import eventually, processes_with

pytest.importorskip("mcp")

from mcp import ClientSession, MCPError
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.types import CallToolResult, ImageContent, TextContent

from sandboxd import Sandbox

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)


@asynccontextmanager
async def session(socket: str, *options: str) -> AsyncIterator[ClientSession]:
    """A client of a server that has just been started."""
    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", "sandboxd.mcp", "--socket", socket, *options],
        env=dict(os.environ),
    )
    async with stdio_client(server) as (incoming, outgoing):
        async with ClientSession(incoming, outgoing) as one:
            await one.initialize()
            yield one


def with_session(
    socket: str, body: Callable[[ClientSession], Awaitable[None]], *options: str
) -> None:
    """Does something with a client, within a time."""

    async def main() -> None:
        async with session(socket, *options) as one:
            await body(one)

    asyncio.run(asyncio.wait_for(main(), 120))


def text(result: Any) -> str:
    """The text of an answer, which is its first part."""
    assert isinstance(result, CallToolResult) and isinstance(result.content[0], TextContent)
    return result.content[0].text


def test_tools_are_listed_with_their_schemas(socket: str) -> None:
    async def body(one: ClientSession) -> None:
        tools = {tool.name: tool for tool in (await one.list_tools()).tools}
        assert set(tools) == {"run_code", "run_shell", "browse"}
        schema = tools["run_code"].input_schema
        assert schema["required"] == ["language", "code"] and not schema["additionalProperties"]
        assert all(tool.description for tool in tools.values())

    with_session(socket, body)


def test_code_runs_in_the_sandbox(socket: str) -> None:
    async def body(one: ClientSession) -> None:
        for language, code in (("python", "print(6 * 7)"), ("javascript", "console.log(6 * 7)")):
            result = await one.call_tool("run_code", {"language": language, "code": code})
            assert not result.is_error and "stdout:\n42\n" in text(result)
        result = await one.call_tool("run_shell", {"command": "id -u; pwd; exit 3"})
        assert not result.is_error
        assert "exit status 3" in text(result) and "1000\n/workspace\n" in text(result)
        arguments = {"language": "python", "code": "import time; time.sleep(60)", "timeout": 0.5}
        assert text(await one.call_tool("run_code", arguments)).startswith("verdict: wall_time")

    with_session(socket, body)


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("run_code", {"language": "python"}, "'code': Field required"),
        ("run_code", {"language": "python", "code": ["x"]}, "'code': Input should be a valid str"),
        ("run_code", {"language": 5, "code": "x"}, "'language'"),
        ("run_code", {"language": "python", "code": "x", "timeout": "soon"}, "'timeout'"),
        ("run_shell", None, "'command': Field required"),
        ("run_shell", {"command": "x", "root": True}, "'root': Extra inputs"),
        ("browse", {"command": "look", "url": "x"}, "'command'"),
        ("make_coffee", {}, "no tool 'make_coffee' (known: run_code, run_shell, browse)"),
    ],
)
def test_wrong_arguments_are_a_clear_error(
    socket: str, name: str, arguments: dict[str, Any] | None, words: str
) -> None:
    async def body(one: ClientSession) -> None:
        result = await one.call_tool(name, arguments)
        assert isinstance(result, CallToolResult) and result.is_error
        assert words in text(result)
        # The server goes on.
        assert "stdout:\n1\n" in text(await one.call_tool("run_shell", {"command": "echo 1"}))

    with_session(socket, body)


def test_pictures_are_pictures_and_what_only_says_so_is_a_file(socket: str) -> None:
    code = (
        f"open('out/real.png', 'wb').write({PNG!r})\n"
        "open('out/false.png', 'w').write('<svg onload=alert(1)>')\n"
        "open('out/data.csv', 'w').write('1,2')\n"
    )

    async def body(one: ClientSession) -> None:
        result = await one.call_tool("run_code", {"language": "python", "code": code})
        assert isinstance(result, CallToolResult)
        shown = [part for part in result.content if isinstance(part, ImageContent)]
        assert [(part.mime_type, base64.b64decode(part.data)) for part in shown] == [
            ("image/png", PNG)
        ]
        for line in ("file: real.png, ", "file: false.png, 21 bytes", "file: data.csv, 3 bytes"):
            assert line in text(result)

    with_session(socket, body)


def test_long_output_is_cut_and_says_so(socket: str) -> None:
    async def body(one: ClientSession) -> None:
        code = "print('begin'); print('x' * 500_000); print('the end')"
        result = await one.call_tool("run_code", {"language": "python", "code": code})
        assert "stdout:\nbegin\nxxx" in text(result) and "the end" in text(result)
        assert "letters left out ...]" in text(result) and len(text(result)) < 17_000

    with_session(socket, body)


def test_a_page_is_a_picture(socket: str, sandbox: Sandbox) -> None:
    if not any(one.name == "browser" and one.ready for one in sandbox.profiles()):
        pytest.skip("there is no image for the profile 'browser'")

    async def body(one: ClientSession) -> None:
        arguments = {"command": "screenshot", "url": "data:text/html,<h1>Hello</h1>"}
        result = await one.call_tool("browse", arguments)
        assert isinstance(result, CallToolResult) and isinstance(result.content[1], ImageContent)
        assert base64.b64decode(result.content[1].data).startswith(b"\x89PNG")
        result = await one.call_tool("browse", {"command": "text", "url": "http://b.example/"})
        assert "not reached: b.example:80" in text(result)

    with_session(socket, body, "--allow", "a.example:443")


def test_a_profile_is_the_operator_s_choice(socket: str) -> None:
    async def body(one: ClientSession) -> None:
        result = await one.call_tool("run_shell", {"command": "true"})
        assert result.is_error and "no profile 'none'" in text(result)
        arguments = {"language": "python", "code": "x = 'y' * 200_000_000"}
        result = await one.call_tool("run_code", arguments)
        assert text(result).startswith("verdict: oom")

    with_session(socket, body, "--profile-shell", "none", "--profile-code", "shell")


def test_a_daemon_that_is_not_there_is_an_error_of_the_tool(tmp_path: Path) -> None:
    async def body(one: ClientSession) -> None:
        result = await one.call_tool("run_shell", {"command": "true"})
        assert result.is_error and "no daemon answers" in text(result)

    with_session(str(tmp_path / "none"), body)


def test_a_request_that_is_cancelled_ends_its_run(socket: str) -> None:
    word = "marker-of-a-request-that-is-cancelled"

    async def body(one: ClientSession) -> None:
        task = asyncio.create_task(
            one.call_tool("run_shell", {"command": f": {word}; sleep 25; true"})
        )
        await asyncio.to_thread(eventually, lambda: processes_with(word))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(eventually, lambda: not processes_with(word))
        assert "stdout:\n1\n" in text(await one.call_tool("run_shell", {"command": "echo 1"}))

    with_session(socket, body)


def test_a_client_that_goes_away_ends_its_runs(socket: str) -> None:
    word = "marker-of-a-client-that-goes-away"

    async def main() -> None:
        async with session(socket) as one:
            call = one.call_tool("run_shell", {"command": f": {word}; sleep 25; true"})
            task = asyncio.create_task(call)
            await asyncio.to_thread(eventually, lambda: processes_with(word))
        [ended] = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(ended, MCPError)
        await asyncio.to_thread(eventually, lambda: not processes_with(word))

    asyncio.run(asyncio.wait_for(main(), 60))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_though_its_input_is_open(socket: str, number: signal.Signals) -> None:
    server = subprocess.Popen(
        [sys.executable, "-m", "sandboxd.mcp", "--socket", socket],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert server.stdin is not None and server.stdout is not None
        # An answer says that it serves.
        server.stdin.write(b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}\n')
        server.stdin.flush()
        assert b'"id":1' in server.stdout.readline()
        server.send_signal(number)
        assert server.wait(10) == -number
    finally:
        server.kill()
        server.communicate()


def test_the_command_line_explains_itself() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "sandboxd.mcp", "--help"], capture_output=True, text=True
    )
    assert ended.returncode == 0
    bare = [sys.executable, "-S", "-m", "sandboxd.mcp"]
    assert subprocess.run([*bare, "--help"], capture_output=True).returncode == 0
    missing = subprocess.run(bare, capture_output=True, text=True)
    assert missing.returncode == 1 and "pip install 'sandboxd[mcp]'" in missing.stderr
    for option in ("--socket", "--profile-code", "--profile-shell", "--profile-browser", "--allow"):
        assert option in ended.stdout
