# SPDX-License-Identifier: Apache-2.0
"""The reader of answers: however they are cut, and whatever is wrong with them."""

from __future__ import annotations

import pytest

from sandboxd.errors import NotSandboxd, Overrun
from sandboxd.http11 import HEAD_LIMIT, ResponseReader, Truncated, request
from sandboxd.lines import LineSplitter

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def read(data: bytes, step: int = 1 << 30) -> tuple[int, bytes]:
    """Reads an answer that comes in pieces of `step` bytes, and then the connection's end."""
    reader = ResponseReader()
    body = b""
    position = 0
    while True:
        while (piece := reader.body()) is not None:
            if not piece:
                head = reader.head()
                assert head is not None
                return head.status, body
            body += piece
        reader.feed(data[position : position + step])
        position += step


WHOLE = [
    (OK + b"Content-Length: 5\r\n\r\nhello", b"hello"),
    (OK + b"content-length:\t5 \r\n\r\nhello and more", b"hello"),
    (OK + b"Content-Length: 0\r\n\r\n", b""),
    (CHUNKED + b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
    (CHUNKED + b"2;a=b\r\nhe\r\n003 \r\nllo\r\n0\r\nX: y\r\n\r\n", b"hello"),
    (CHUNKED + b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
    (CHUNKED + b"0\r\n\r\n", b""),
    (b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nok", b"ok"),
    (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    (b"HTTP/1.1 200 \r\nContent-Length: 1\r\n\r\nx", b"x"),
]


@pytest.mark.parametrize(("data", "body"), WHOLE)
def test_an_answer_is_read_however_it_is_cut(data: bytes, body: bytes) -> None:
    for step in (1, 2, 3, 7, 1 << 20):
        assert read(data, step)[1] == body


@pytest.mark.parametrize("data", [data for data, _ in WHOLE])
def test_an_answer_that_is_cut_short_is_never_taken_for_a_whole_one(data: bytes) -> None:
    whole = read(data)
    for length in range(len(data)):
        try:
            assert read(data[:length], 3) == whole
        except Truncated:
            pass


WRONG = [
    b"SSH-2.0-OpenSSH\r\n\r\n",
    b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 -20 OK\r\nContent-Length: 0\r\n\r\n",
    OK + b"\r\n",
    OK + b"Content-Length: -1\r\n\r\n",
    OK + b"Content-Length: +1\r\n\r\nx",
    OK + b"Content-Length: 1_0\r\n\r\n0123456789",
    OK + b"Content-Length: 0x5\r\n\r\nhello",
    OK + b"Content-Length: \xb2\r\n\r\nhe",
    OK + b"Content-Length: 9999999999999999999\r\n\r\nx",
    OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    OK + b"no header\r\n\r\n",
    OK + b"na me: x\r\n\r\n",
    OK + b": x\r\n\r\n",
    OK + b"X: " + b"y" * HEAD_LIMIT + b"\r\n\r\n",
    OK + b"X: y\r\n" * 101 + b"\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n" * 4000,
    CHUNKED + b"-5\r\nhello\r\n0\r\n\r\n",
    CHUNKED + b"+5\r\nhello\r\n0\r\n\r\n",
    CHUNKED + b"0x5\r\nhello\r\n0\r\n\r\n",
    CHUNKED + b"1_0\r\n0123456789012345\r\n0\r\n\r\n",
    CHUNKED + b" 5\r\nhello\r\n0\r\n\r\n",
    CHUNKED + b"\r\n\r\n",
    CHUNKED + b";x\r\n\r\n",
    CHUNKED + b"ffffffffffffffff\r\nhello",
    CHUNKED + b"5" + b" " * 300 + b"\r\nhello\r\n0\r\n\r\n",
    CHUNKED + b"5;" + b"x" * 300,
    CHUNKED + b"5\r\nhello!\r\n0\r\n\r\n",
    CHUNKED + b"5\nhello\n0\n\n" + b"x" * 300,
    CHUNKED + b"0\r\n" + b"X: y\r\n" * 2000,
]


@pytest.mark.parametrize("data", WRONG)
def test_what_is_malformed_is_refused(data: bytes) -> None:
    for step in (1, 1000, 1 << 20):
        with pytest.raises(NotSandboxd):
            read(data, step)


def test_the_reader_keeps_no_more_than_it_must() -> None:
    reader = ResponseReader()
    reader.feed(CHUNKED)
    for _ in range(100):
        reader.feed(b"10000\r\n" + b"x" * 65536 + b"\r\n")
        while reader.body():
            pass
        assert len(reader._buffer) < 64


def test_a_long_header_of_blanks_is_read_at_once() -> None:
    data = OK + b"X:" + b" " * 60_000 + b"\r\nContent-Length: 0\r\n\r\n"
    assert read(data) == (200, b"")


def test_a_request_says_how_long_it_is() -> None:
    data = request("POST", "/v1/runs", body=b"{}")
    assert data.startswith(b"POST /v1/runs HTTP/1.1\r\nHost: sandboxd\r\n")
    assert data.endswith(b"\r\nContent-Length: 2\r\n\r\n{}")


def test_lines_are_cut_wherever_they_come() -> None:
    for step in (1, 2, 5, 100):
        data, lines = b"a\n\nbcd\nrest", []
        splitter = LineSplitter(3)
        for start in range(0, len(data) - 1, step):
            splitter.feed(data[start : min(start + step, len(data) - 1)])
            while (line := splitter.next()) is not None:
                lines.append(line)
        assert lines == [b"a", b"", b"bcd"]
        assert splitter.rest() == b"res"


def test_a_line_without_end_is_not_kept() -> None:
    splitter = LineSplitter(10)
    splitter.feed(b"x" * 11)
    with pytest.raises(Overrun):
        splitter.next()
