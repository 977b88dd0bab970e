# SPDX-License-Identifier: Apache-2.0
"""A daemon that answers whatever a test says, in a thread of its own."""

from __future__ import annotations

import json
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterable
from typing import Any

Script = Callable[[socket.socket], None]


class FakeDaemon:
    """Answers one connection after the other, each with the next answer: bytes, or a function.

    The last answer is given again to all that come later.
    """

    def __init__(self, answers: Iterable[object]) -> None:
        self._answers = list(answers)
        self._directory = tempfile.mkdtemp(prefix="fake-")
        self.socket = self._directory + "/s"
        #: The requests as they came, head and body.
        self.requests: list[bytes] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.socket)
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends it, and removes its socket."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)
        shutil.rmtree(self._directory)

    def _serve(self) -> None:
        number = 0
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            answer = self._answers[min(number, len(self._answers) - 1)]
            number += 1
            with connection:
                # What hangs here would hang the test's end.
                connection.settimeout(10)
                try:
                    self.requests.append(_request(connection))
                    if callable(answer):
                        answer(connection)
                    else:
                        assert isinstance(answer, bytes)
                        connection.sendall(answer)
                except OSError:
                    # The client went away: some tests are about just that.
                    continue


def _request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return data
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def answer(value: Any, status: str = "200 OK", *headers: str) -> bytes:
    """A whole answer with a JSON body."""
    body = json.dumps(value).encode()
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def live(*events: Any, is_whole: bool = True) -> bytes:
    """A whole answer in chunks, one event a line; or one that ends in the middle."""
    data = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    for event in events:
        line = json.dumps(event).encode() + b"\n"
        data += b"%x\r\n%s\r\n" % (len(line), line)
    return data + b"0\r\n\r\n" if is_whole else data
