# SPDX-License-Identifier: Apache-2.0
"""A daemon that is killed in the middle, and one that is told to end."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.own_daemon import OwnDaemon
from support.waiting import SLOWNESS, eventually

from sandboxd import (
    AsyncSandbox,
    ConnectionLost,
    DaemonUnreachable,
    Finished,
    Sandbox,
    SandboxdError,
)


class Listener:
    """Somebody who waits for something, in a thread, and what came of it."""

    def __init__(self, body: Callable[[], Any]) -> None:
        self._body = body
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._body()
        except SandboxdError as error:
            self.error = error

    def ended(self) -> BaseException | None:
        """What it got, within a time."""
        self._thread.join(20)
        assert not self._thread.is_alive(), "it still waits"
        return self.error


@pytest.fixture
def own(daemon: Callable[..., OwnDaemon]) -> Iterator[OwnDaemon]:
    """A daemon with a queue of its own."""
    yield daemon("--database", "embedded", "--lease-time", "2")


def test_kill_9_ends_everybody_s_waiting_and_says_what_is_known(own: OwnDaemon) -> None:
    sandbox, later = own.sandbox, AsyncSandbox(own.socket)
    eventually(lambda: own.sandbox.status().queue_ready, 30)
    argv = ["sh", "-c", "echo ready; sleep 100"]

    async def hear() -> None:
        async for _ in later.stream("shell", argv):
            pass

    direct = [
        Listener(lambda: sandbox.run("shell", argv)),
        Listener(lambda: list(sandbox.stream("shell", argv))),
        Listener(lambda: asyncio.run(later.run("shell", argv))),
        Listener(lambda: asyncio.run(hear())),
    ]
    eventually(lambda: sandbox.status().runs == 4, 20)
    task_id = sandbox.submit("shell", ["sh", "-c", f"sleep {min(5 * SLOWNESS, 20)}"]).task_id
    queued = [
        Listener(lambda: sandbox.wait(task_id)),
        Listener(lambda: asyncio.run(later.wait(task_id))),
    ]
    eventually(lambda: sandbox.status().runs == 5, 20)
    own.kill()
    for listener in direct:
        error = listener.ended()
        assert isinstance(error, ConnectionLost) and error.task_id is None
        assert "how far it came is not known" in str(error)
    for listener in queued:
        error = listener.ended()
        assert isinstance(error, ConnectionLost) and error.task_id == task_id
        assert f"task {task_id} is kept" in str(error)
    with pytest.raises(DaemonUnreachable):
        sandbox.status()

    # The task is where it was said to be.
    own.start()
    eventually(lambda: sandbox.status().queue_ready, 30)
    task = sandbox.wait(task_id, timeout=90)
    assert task.state == "succeeded", task
    assert [attempt.verdict for attempt in task.attempts][-1] == "ok" and len(task.attempts) == 2


def test_a_daemon_that_is_told_to_end_answers_first(daemon: Callable[..., OwnDaemon]) -> None:
    own = daemon()
    results: list[Finished] = []

    def hear() -> None:
        for event in Sandbox(own.socket).stream("shell", ["sleep", "100"]):
            if isinstance(event, Finished):
                results.append(event)

    listener = Listener(hear)
    eventually(lambda: own.sandbox.status().runs == 1)
    os.kill(own.pid, signal.SIGTERM)
    assert listener.ended() is None
    assert results[0].result.verdict == "cancelled" and results[0].result.receipt.clean


def test_a_frozen_daemon_is_given_up(daemon: Callable[..., OwnDaemon]) -> None:
    own = daemon()
    os.kill(own.pid, signal.SIGSTOP)
    try:
        with pytest.raises(SandboxdError, match="within 0.5 s"):
            own.sandbox.run("shell", ["true"], give_up_after=0.5)
    finally:
        os.kill(own.pid, signal.SIGCONT)
    eventually(lambda: own.sandbox.status().runs == 0)
    assert own.sandbox.run("shell", ["true"]).ok
