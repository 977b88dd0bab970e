# SPDX-License-Identifier: Apache-2.0
"""Cancelling: whoever stops listening ends the run, and not only his own waiting."""

from __future__ import annotations

import asyncio
import gc
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator

import pytest
from support.waiting import eventually, processes_with

from sandboxd import AsyncSandbox, GaveUp, OutputPiece, Sandbox


@pytest.fixture
def marker(sandbox: Sandbox) -> Iterator[str]:
    """A word among a job's arguments; when the test ends, no process has it and no run goes on."""
    word = f"marker-{uuid.uuid4().hex}"
    yield word
    eventually(lambda: not processes_with(word))
    eventually(lambda: sandbox.status().runs == 0)


def sleeper(word: str) -> list[str]:
    """A job that says that it runs, and then sleeps for longer than any test."""
    return ["sh", "-c", "echo ready; sleep 100", word]


def runs(word: str) -> None:
    """Comes back when the job is there, seen from outside."""
    eventually(lambda: processes_with(word))


def test_leaving_a_loop(sandbox: Sandbox, marker: str) -> None:
    for event in sandbox.stream("code", sleeper(marker)):
        if isinstance(event, OutputPiece):
            assert processes_with(marker)
            break


def test_closing_a_stream(sandbox: Sandbox, marker: str) -> None:
    stream = sandbox.stream("code", sleeper(marker))
    next(stream)
    runs(marker)
    stream.close()
    with pytest.raises(StopIteration):
        next(stream)
    stream.close()


def test_an_error_in_a_with_block(sandbox: Sandbox, marker: str) -> None:
    with pytest.raises(ZeroDivisionError):
        with sandbox.stream("code", sleeper(marker)) as stream:
            next(stream)
            runs(marker)
            raise ZeroDivisionError


def test_giving_up(sandbox: Sandbox, marker: str) -> None:
    began = time.monotonic()
    with pytest.raises(GaveUp):
        sandbox.run("code", sleeper(marker), give_up_after=1)
    assert time.monotonic() - began < 5
    with pytest.raises(GaveUp):
        for _ in sandbox.stream("code", sleeper(marker), give_up_after=1):
            pass


CALLER = """
import asyncio, sys
from sandboxd import AsyncSandbox, Sandbox
argv = ["sh", "-c", "sleep 100", sys.stdin.read()]
{call}
"""
CALLS = {
    "run": "Sandbox(sys.argv[1]).run('code', argv)",
    "stream": "list(Sandbox(sys.argv[1]).stream('code', argv))",
    "async": "asyncio.run(AsyncSandbox(sys.argv[1]).run('code', argv))",
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_caller_that_is_interrupted_or_killed(
    socket: str, marker: str, call: str, number: signal.Signals
) -> None:
    # The marker goes through standard input: it is to be among the job's arguments alone.
    caller = subprocess.Popen(
        [sys.executable, "-c", CALLER.format(call=call), socket],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert caller.stdin is not None and caller.stderr is not None
        caller.stdin.write(marker)
        caller.stdin.close()
        runs(marker)
        caller.send_signal(number)
        errors = caller.stderr.read()
        status = caller.wait(20)
        assert "KeyboardInterrupt" in errors if number == signal.SIGINT else status == -9
    finally:
        caller.kill()
        caller.wait()
        caller.stderr.close()


def test_cancelling_an_asyncio_task(socket: str, marker: str) -> None:
    async def main() -> None:
        task = asyncio.create_task(AsyncSandbox(socket).run("code", sleeper(marker)))
        await asyncio.to_thread(runs, marker)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        # Here, and not only when the loop ends.
        await asyncio.to_thread(eventually, lambda: not processes_with(marker))

    asyncio.run(main())


def test_a_timeout_of_asyncio_s(socket: str, marker: str) -> None:
    async def main() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(AsyncSandbox(socket).run("code", sleeper(marker)), 1)
        await asyncio.to_thread(eventually, lambda: not processes_with(marker))

    asyncio.run(main())


async def _leave(socket: str, word: str) -> None:
    async for event in AsyncSandbox(socket).stream("code", sleeper(word)):
        if isinstance(event, OutputPiece):
            break


async def _close(socket: str, word: str) -> None:
    stream = AsyncSandbox(socket).stream("code", sleeper(word))
    await anext(stream)
    await stream.aclose()
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


async def _fail(socket: str, word: str) -> None:
    with pytest.raises(ZeroDivisionError):
        async with AsyncSandbox(socket).stream("code", sleeper(word)) as stream:
            await anext(stream)
            raise ZeroDivisionError


@pytest.mark.parametrize("way", [_leave, _close, _fail])
def test_leaving_an_asynchronous_stream(
    socket: str, marker: str, way: Callable[[str, str], object]
) -> None:
    async def main() -> None:
        await way(socket, marker)  # type: ignore[misc]
        gc.collect()
        await asyncio.to_thread(eventually, lambda: not processes_with(marker))

    asyncio.run(main())


def test_many_at_once_end_all(socket: str, marker: str) -> None:
    async def main() -> None:
        sandbox = AsyncSandbox(socket)
        tasks = [
            asyncio.create_task(sandbox.run("shell", sleeper(marker), memory=16 << 20))
            for _ in range(8)
        ]
        await asyncio.to_thread(eventually, lambda: len(processes_with(marker)) >= 8)
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(one, asyncio.CancelledError) for one in ended), ended
        await asyncio.to_thread(eventually, lambda: not processes_with(marker))

    asyncio.run(main())
