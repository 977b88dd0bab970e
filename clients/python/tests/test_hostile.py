# SPDX-License-Identifier: Apache-2.0
"""Answers of somebody who means harm, or of something that is no daemon at all."""

from __future__ import annotations

import base64
import hashlib
import json
import socket as sockets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.asking import CLIENTS, Asker
from support.fake import FakeDaemon, answer, live

from sandboxd import ConnectionLost, GaveUp, NotSandboxd, Overrun, SandboxdError, Unavailable

Fake = Callable[..., FakeDaemon]

pytestmark = pytest.mark.parametrize("kind", CLIENTS)

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def endless(first: bytes, again: bytes) -> Callable[[sockets.socket], None]:
    """Sends `first` once, and `again` until nobody listens."""

    def send(connection: sockets.socket) -> None:
        connection.sendall(first)
        piece = again * (65536 // len(again) + 1)
        while True:
            connection.sendall(piece)

    return send


@pytest.mark.parametrize(
    ("first", "again", "error"),
    [
        (b"", b"x", NotSandboxd),
        (HEAD, b"X: y\r\n", NotSandboxd),
        (HEAD + b"X: ", b"y", NotSandboxd),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n", NotSandboxd),
        (CHUNKED, b"5", NotSandboxd),
        (CHUNKED + b"1;", b"x", NotSandboxd),
        (CHUNKED + b"0\r\n", b"X: y\r\n", NotSandboxd),
        (CHUNKED, b"4\r\nxxxx\r\n", Overrun),
        (HEAD + b"Content-Length: 999999999999\r\n\r\n", b"x", Overrun),
        (b"HTTP/1.1 500 Oh\r\nContent-Length: 999999999999\r\n\r\n", b"x", NotSandboxd),
        (b"HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", NotSandboxd),
    ],
)
def test_what_has_no_end_is_ended(
    kind: str, fake: Fake, first: bytes, again: bytes, error: type[SandboxdError]
) -> None:
    asker = Asker(kind, fake(endless(first, again)).socket, answer_limit=1 << 20)
    with pytest.raises(error):
        asker.ask("run", "code", ["true"])
    with pytest.raises(error):
        asker.events("stream", "code", ["true"])


def kilobytes() -> int:
    """What this process has in memory now."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def test_many_lines_are_no_memory(kind: str, fake: Fake) -> None:
    line = json.dumps({"event": "stdout", "offset": 0, "data": "eHh4"}).encode() + b"\n"
    chunk = b"%x\r\n%s\r\n" % (len(line), line)

    def send(connection: sockets.socket) -> None:
        connection.sendall(CHUNKED)
        for _ in range(1000):
            connection.sendall(chunk * 50)
        end = b'{"event": "result", "result": {"verdict": "ok"}}\n'
        connection.sendall(b"%x\r\n%s\r\n0\r\n\r\n" % (len(end), end))

    before = kilobytes()
    asker = Asker(kind, fake(send).socket, answer_limit=1000)
    events = asker.events("stream", "code", ["true"])
    # The events themselves, and no more.
    assert len(events) == 50_001 and kilobytes() - before < 120 << 10


@pytest.mark.parametrize(
    "body",
    [
        b"no JSON",
        b"[]",
        b"null",
        b'"text"',
        b"\xff\xfe",
        b'{"verdict": 5}',
        b'{"verdict": "ok", "exit_code": "0"}',
        b'{"verdict": "ok", "exit_code": true}',
        b'{"verdict": "ok", "exit_code": NaN}',
        b'{"verdict": "ok", "exit_code": ' + b"9" * 5000 + b"}",
        b'{"verdict": "ok", "stdout": [1]}',
        b'{"verdict": "ok", "stdout": "!!!", "stdout_encoding": "base64"}',
        b'{"verdict": "ok", "usage": []}',
        b'{"verdict": "ok", "artifacts": {}}',
        b'{"verdict": "ok", "artifacts": [1]}',
        b'{"verdict": "ok", "receipt": {"problems": [1]}}',
        b'{"verdict": "ok", "network": ' + b"[" * 100_000 + b"}",
    ],
)
def test_what_is_no_report_is_said_so(kind: str, fake: Fake, body: bytes) -> None:
    whole = HEAD + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    with pytest.raises(NotSandboxd):
        Asker(kind, fake(whole).socket).ask("run", "code", ["true"])


@pytest.mark.parametrize(
    "event",
    [[], 5, {"event": 5}, {"event": "stdout", "data": "!"}, {"event": "stdout", "offset": "x"},
     {"event": "result", "result": []}],
)
def test_what_is_no_event_is_said_so(kind: str, fake: Fake, event: Any) -> None:
    with pytest.raises(NotSandboxd):
        Asker(kind, fake(live(event)).socket).events("stream", "code", ["true"])


def test_half_a_surrogate_pair_harms_nobody(kind: str, fake: Fake) -> None:
    report = {"verdict": "ok", "stdout": "a\ud800b", "engine": "\udfff"}
    result = Asker(kind, fake(answer(report)).socket).ask("run", "code", ["true"])
    assert result.stdout == b"a?b"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"HTTP/1.1 2",
        HEAD,
        HEAD + b"Content-Length: 10\r\n\r\n{}",
        CHUNKED + b"5\r\nhel",
        CHUNKED + b"2\r\n{}\r\n",
        live({"event": "started", "attempt_id": "a"}, is_whole=False),
    ],
)
def test_an_answer_that_breaks_off_is_lost(kind: str, fake: Fake, data: bytes) -> None:
    asker = Asker(kind, fake(data).socket)
    for name, how in (("run", asker.ask), ("stream", asker.events)):
        with pytest.raises(ConnectionLost, match="how far it came is not known"):
            how(name, "code", ["true"])
    with pytest.raises(ConnectionLost, match="'night-7'"):
        asker.ask("run", "code", ["true"], key="night-7")


def test_a_live_answer_that_ends_properly_without_a_result_is_lost(kind: str, fake: Fake) -> None:
    asker = Asker(kind, fake(live({"event": "started", "attempt_id": "a"})).socket)
    with pytest.raises(ConnectionLost):
        asker.events("stream", "code", ["true"])


def test_a_task_that_is_followed_is_not_lost(kind: str, fake: Fake) -> None:
    asker = Asker(kind, fake(live({"task_id": 17, "state": "running"})).socket)
    with pytest.raises(ConnectionLost, match=r"task 17 is kept.*wait\(17\)") as raised:
        asker.ask("wait", 17)
    assert raised.value.task_id == 17


def test_who_says_nothing_is_given_up(kind: str, fake: Fake) -> None:
    asker = Asker(kind, fake(lambda connection: time.sleep(3)).socket)
    began = time.monotonic()
    with pytest.raises(GaveUp, match=r"POST /v1/runs within 0\.3 s"):
        asker.ask("run", "code", ["true"], give_up_after=0.3)
    assert time.monotonic() - began < 2.5
    assert issubclass(GaveUp, TimeoutError)


def test_who_speaks_one_byte_at_a_time_is_given_up(kind: str, fake: Fake) -> None:
    def drip(connection: sockets.socket) -> None:
        for byte in live({"event": "started", "attempt_id": "a"}):
            connection.sendall(bytes([byte]))
            time.sleep(0.05)

    asker = Asker(kind, fake(drip).socket)
    with pytest.raises(GaveUp):
        asker.events("stream", "code", ["true"], give_up_after=0.5)


def test_a_refusal_that_is_no_json_is_one_all_the_same(kind: str, fake: Fake) -> None:
    page = b"HTTP/1.1 502 Bad\r\nContent-Length: 6\r\n\r\n<html>"
    with pytest.raises(Unavailable, match="status 502") as raised:
        Asker(kind, fake(page).socket).ask("status")
    assert raised.value.code == "" and raised.value.status == 502


def test_an_artifact_is_what_its_digest_says(kind: str, fake: Fake) -> None:
    good = b"content"
    digest = hashlib.sha256(good).hexdigest()
    report = {"verdict": "ok", "artifacts": [{"path": "a", "bytes": len(good), "sha256": digest}]}

    def with_body(body: bytes) -> bytes:
        return HEAD + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)

    result = Asker(kind, fake(answer(report), with_body(good)).socket).ask("run", "code", ["x"])
    assert result.artifacts == {"a": good}
    with pytest.raises(NotSandboxd, match="another digest"):
        Asker(kind, fake(answer(report), with_body(b"CONTENT")).socket).ask("run", "code", ["x"])
    with pytest.raises(Overrun):
        larger = fake(answer(report), with_body(good + b"!"))
        Asker(kind, larger.socket).ask("run", "code", ["x"])
    report["artifacts"][0]["sha256"] = "../../v1/status"  # type: ignore[index]
    with pytest.raises(NotSandboxd, match="no digest"):
        Asker(kind, fake(answer(report)).socket).ask("run", "code", ["x"])


def test_too_many_artifacts_are_not_fetched_and_the_result_is_not_lost(
    kind: str, fake: Fake
) -> None:
    files = [{"path": str(n), "bytes": 600, "sha256": f"{n:064x}"} for n in range(2)]
    one = fake(answer({"verdict": "ok", "artifacts": files}))
    with pytest.raises(Overrun, match="1200 bytes") as raised:
        Asker(kind, one.socket, artifact_limit=1000).ask("run", "code", ["x"])
    assert raised.value.result is not None and raised.value.result.ok
    assert len(one.requests) == 1


def test_a_name_that_is_no_utf8_is_kept(kind: str, fake: Fake) -> None:
    name = base64.b64encode(b"caf\xe9").decode()
    digest = hashlib.sha256(b"").hexdigest()
    file = {"path": name, "path_encoding": "base64", "bytes": 0, "sha256": digest}
    empty = HEAD + b"Content-Length: 0\r\n\r\n"
    one = fake(answer({"verdict": "ok", "artifacts": [file]}), empty)
    result = Asker(kind, one.socket).ask("run", "code", ["x"])
    assert list(result.artifacts) == [b"caf\xe9".decode("utf-8", "surrogateescape")]
