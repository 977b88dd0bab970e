# SPDX-License-Identifier: Apache-2.0
"""Reading one HTTP/1.1 answer out of bytes as they come, without any I/O, strictly and bounded.

Only as much of HTTP as the daemon speaks: a head, and a body with a length or in chunks. Both
clients feed the same reader. It keeps no more than one head or one piece of what it was fed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from .errors import NotSandboxd

HEAD_LIMIT = 64 << 10
HEADER_COUNT_LIMIT = 100
SIZE_LINE_LIMIT = 256
TRAILER_LIMIT = 8 << 10

_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5][0-9][0-9])(?: .*)?")
_HEADER_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_LENGTH = re.compile(rb"[0-9]{1,18}")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?")


class Truncated(Exception):
    """The connection ended in the middle of the answer."""


@dataclass(frozen=True)
class Head:
    """The status and the headers of an answer; names in lower case, the last of a name counts."""

    status: int
    headers: Mapping[str, str]


class ResponseReader:
    """Takes the bytes of one answer, and gives its head and then its body."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._has_ended = False
        self._head: Head | None = None
        self._head_bytes = 0
        #: Bytes left of the body, or of the present chunk.
        self._left = 0
        self._is_chunked = False
        #: Which line comes when nothing is left: "size", "data end", "trailers", or "end" for none.
        self._state = "size"
        self._trailer_room = TRAILER_LIMIT

    @property
    def has_heard(self) -> bool:
        """Whether anything came at all."""
        return self._head is not None or bool(self._buffer) or self._head_bytes > 0

    def feed(self, data: bytes) -> None:
        """Takes what was read; nothing means that the connection has ended."""
        if data:
            self._buffer += data
        else:
            self._has_ended = True

    def head(self) -> Head | None:
        """Answers the head; None when more must be fed first."""
        while self._head is None:
            end = self._buffer.find(b"\r\n\r\n")
            size = len(self._buffer) if end < 0 else end + 4
            if self._head_bytes + size > HEAD_LIMIT:
                raise NotSandboxd(f"the answer's head is longer than {HEAD_LIMIT} bytes")
            if end < 0:
                self._expect_more()
                return None
            head = _parse_head(bytes(self._buffer[:end]))
            del self._buffer[: end + 4]
            # Interim answers (1xx) are passed over; together they are one head.
            self._head_bytes += end + 4
            if head.status >= 200:
                self._head = head
                self._measure(head)
        return self._head

    def body(self) -> bytes | None:
        """Answers the next piece of the body, empty at its end; None when more must be fed."""
        if self.head() is None:
            return None
        if self._is_chunked:
            # What stands between the data of two chunks.
            while not self._left and self._state != "end":
                if not self._pass_line():
                    return None
        return self._take() if self._left else b""

    def _pass_line(self) -> bool:
        """Reads one line of the chunks' own; says whether it was there."""
        if self._state == "data end":
            line = self._line(2)
        elif self._state == "size":
            line = self._line(SIZE_LINE_LIMIT)
        else:
            line = self._line(max(0, self._trailer_room))
        if line is None:
            return False
        if self._state == "data end":
            self._state = "size"
        elif self._state == "size":
            self._left = _chunk_size(line)
            self._state = "data end" if self._left else "trailers"
        else:
            self._trailer_room -= len(line) + 2
            if not line:
                self._state = "end"
        return True

    def _measure(self, head: Head) -> None:
        coding = head.headers.get("transfer-encoding")
        length = head.headers.get("content-length")
        if coding is not None:
            if coding.lower() != "chunked" or length is not None:
                raise NotSandboxd("the answer does not say clearly where it ends")
            self._is_chunked = True
        elif length is not None:
            if not _LENGTH.fullmatch(length.encode("latin-1")):
                raise NotSandboxd(f"the answer's length is '{length[:40]}'")
            self._left = int(length)
        elif head.status not in (204, 304):
            raise NotSandboxd("the answer does not say where it ends")

    def _take(self) -> bytes | None:
        piece = bytes(self._buffer[: self._left])
        if not piece:
            self._expect_more()
            return None
        del self._buffer[: len(piece)]
        self._left -= len(piece)
        return piece

    def _line(self, limit: int) -> bytes | None:
        """Takes a line of at most `limit` bytes with its end; answers it without."""
        end = self._buffer.find(b"\r\n", 0, limit)
        if end < 0:
            if len(self._buffer) >= limit:
                raise NotSandboxd("a chunk of the answer has no sensible size or end")
            self._expect_more()
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    def _expect_more(self) -> None:
        if self._has_ended:
            raise Truncated


def _parse_head(data: bytes) -> Head:
    first, *lines = data.split(b"\r\n")
    status = _STATUS_LINE.fullmatch(first)
    if status is None:
        raise NotSandboxd("what answers there is not sandboxd: it does not speak HTTP/1.1")
    if len(lines) > HEADER_COUNT_LIMIT:
        raise NotSandboxd(f"the answer has more than {HEADER_COUNT_LIMIT} headers")
    headers: dict[str, str] = {}
    for line in lines:
        before, colon, after = line.partition(b":")
        if not colon or not _HEADER_NAME.fullmatch(before):
            raise NotSandboxd("a header of the answer is malformed")
        name = before.decode("ascii").lower()
        value = after.strip(b" \t").decode("latin-1")
        if name in ("content-length", "transfer-encoding") and headers.get(name, value) != value:
            raise NotSandboxd("the answer does not say clearly where it ends")
        headers[name] = value
    return Head(int(status[1]), headers)


def _chunk_size(line: bytes) -> int:
    size = _CHUNK_SIZE.fullmatch(line)
    if size is None:
        raise NotSandboxd("a chunk of the answer has no sensible size or end")
    return int(size[1], 16)


def request(
    method: str,
    path: str,
    *,
    accept: str = "application/json",
    body: bytes | None = None,
    content_type: str = "application/json",
) -> bytes:
    """Answers the bytes of a request. Its connection is closed after the answer."""
    lines = [f"{method} {path} HTTP/1.1", "Host: sandboxd", "Connection: close"]
    lines.append(f"Accept: {accept}")
    if body is not None:
        lines += [f"Content-Type: {content_type}", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + (body or b"")
