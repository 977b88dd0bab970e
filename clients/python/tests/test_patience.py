# SPDX-License-Identifier: Apache-2.0
"""How long the clients wait, and that who is told to stop waiting does so."""

from __future__ import annotations

import asyncio
import json
import socket as sockets
import threading
import time
from collections.abc import Callable

import pytest
from support.asking import CLIENTS, Asker
from support.fake import FakeDaemon, answer, live
from support.waiting import SLOWNESS

from sandboxd import AsyncSandbox, GaveUp

Fake = Callable[..., FakeDaemon]

MONTH = 30 * 86400


class Chatter:
    """An answer that goes on for as long as somebody listens."""

    def __init__(self) -> None:
        self.is_left = threading.Event()

    def __call__(self, connection: sockets.socket) -> None:
        line = json.dumps({"event": "stdout", "offset": 0, "data": "eHh4"}).encode() + b"\n"
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            while True:
                connection.sendall(b"%x\r\n%s\r\n" % (len(line), line))
        except TimeoutError:
            # Nobody reads, and nobody hangs up.
            return
        except OSError:
            self.is_left.set()


def after(turns: int, action: Callable[[], object]) -> None:
    """Does it when the event loop has gone round so many times."""
    if turns == 0:
        action()
    else:
        asyncio.get_running_loop().call_soon(after, turns - 1, action)


@pytest.mark.parametrize("turns", range(4))
def test_cancelling_ends_a_stream_that_has_just_read(
    fake: Fake, monkeypatch: pytest.MonkeyPatch, turns: int
) -> None:
    chatter = Chatter()
    socket = fake(chatter).socket
    feed = asyncio.StreamReader.feed_data

    async def listen() -> None:
        # It is given up some day, for else a failure of this test would have no end.
        stream = AsyncSandbox(socket).stream("code", ["yes"], give_up_after=5 * SLOWNESS)
        async for _ in stream:
            pass

    async def main() -> None:
        task = asyncio.create_task(listen())
        fed = 0

        def feed_data(reader: asyncio.StreamReader, data: bytes) -> None:
            nonlocal fed
            feed(reader, data)
            fed += 1
            if fed == 3:
                after(turns, task.cancel)

        monkeypatch.setattr(asyncio.StreamReader, "feed_data", feed_data)
        await asyncio.wait([task])
        assert task.cancelled(), "it listens on"

    asyncio.run(main())
    assert chatter.is_left.wait(10 * SLOWNESS)


def test_a_stream_that_never_pauses_is_given_up(fake: Fake) -> None:
    chatter = Chatter()
    socket = fake(chatter).socket
    for kind in CLIENTS:
        with pytest.raises(GaveUp, match=r"POST /v1/runs within 0\.3 s"):
            Asker(kind, socket).events("stream", "code", ["yes"], give_up_after=0.3)
        assert chatter.is_left.wait(10 * SLOWNESS)
        chatter.is_left.clear()


@pytest.mark.parametrize("kind", CLIENTS)
def test_a_month_is_no_time_at_all(kind: str, fake: Fake) -> None:
    ended = live({"task_id": 7, "state": "succeeded"})
    task = answer({"task_id": 7, "state": "succeeded"})
    assert Asker(kind, fake(ended, task).socket).ask("wait", 7, timeout=MONTH).has_ended
    report = answer({"verdict": "ok"})
    for option in ("timeout", "give_up_after"):
        asker = Asker(kind, fake(report).socket)
        assert asker.ask("run", "code", ["true"], **{option: MONTH}).ok


def test_who_waits_for_longer_than_the_kernel_does_waits_again(
    fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sandboxd.connection.LONGEST_POLL", 10)

    def late(connection: sockets.socket) -> None:
        time.sleep(0.2)
        connection.sendall(answer({"verdict": "ok"}))

    asker = Asker("sync", fake(late, lambda connection: time.sleep(2)).socket)
    assert asker.ask("run", "code", ["true"], give_up_after=MONTH).ok
    began = time.monotonic()
    with pytest.raises(GaveUp):
        asker.ask("run", "code", ["true"], give_up_after=0.3)
    assert 0.3 <= time.monotonic() - began < 1.5
