# SPDX-License-Identifier: Apache-2.0
"""Cutting a stream of bytes into lines, none of them longer than a limit."""

from __future__ import annotations

from .errors import Overrun


class LineSplitter:
    """Takes bytes as they come, and gives whole lines."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer = bytearray()
        #: Where the search for the next line's end goes on.
        self._searched = 0

    def feed(self, data: bytes) -> None:
        """Takes what came. Everything whole should be taken out before the next piece."""
        self._buffer += data

    def next(self) -> bytes | None:
        """Answers the next line without its end; None when none is whole."""
        end = self._buffer.find(b"\n", self._searched)
        length = len(self._buffer) if end < 0 else end
        if length > self._limit:
            raise Overrun(
                f"a line of the answer is longer than {self._limit} bytes: "
                "give Sandbox a larger answer_limit"
            )
        if end < 0:
            self._searched = length
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._searched = 0
        return line

    def rest(self) -> bytes:
        """Answers what came after the last line's end."""
        return bytes(self._buffer)
