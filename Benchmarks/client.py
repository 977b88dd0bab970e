# SPDX-License-Identifier: Apache-2.0
"""The daemon's API over its Unix socket, with as little of a client's own time as possible."""

import json
import socket

TRUE_RUN = {"profile": "code", "argv": ["/bin/true"]}


class DaemonError(Exception):
    """The daemon answered something else than what a measurement needs."""


def encoded(what, stream=False, path="/v1/runs"):
    """A request for a run, or for what else `path` takes, as bytes, made once and sent often."""
    body = json.dumps(what).encode()
    accept = b"application/x-ndjson" if stream else b"application/json"
    return (
        b"POST %s HTTP/1.1\r\nHost: sandboxd\r\nAccept: %s\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        % (path.encode(), accept, len(body))
    ) + body


class Connection:
    """One kept connection."""

    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.connect(path)

    def close(self):
        self._socket.close()

    def exchange(self, request):
        """Sends a request and returns the whole body of its answer."""
        self._socket.sendall(request)
        data = self._read_until(b"", b"\r\n\r\n")
        head, _, body = data.partition(b"\r\n\r\n")
        length = _content_length(head)
        while len(body) < length:
            body += self._read()
        # 202 is what a task gets: it was accepted, and has yet to run.
        if not head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 202")):
            raise DaemonError(body.decode(errors="replace"))
        return body

    def get(self, path):
        """The JSON at a path."""
        request = b"GET %s HTTP/1.1\r\nHost: sandboxd\r\n\r\n" % path.encode()
        return json.loads(self.exchange(request))

    def run(self, request):
        """A whole run; its verdict must be ok."""
        body = self.exchange(request)
        if b'"verdict":"ok"' not in body:
            raise DaemonError(body.decode(errors="replace"))
        return body

    def start(self, request):
        """A streamed run, until its job has printed something: then it is alive.

        Closing the connection cancels it.
        """
        self._socket.sendall(request)
        data = self._read_until(b"", b"\r\n\r\n")
        if not data.startswith(b"HTTP/1.1 200"):
            raise DaemonError(data.decode(errors="replace"))
        data = self._read_until(data, b'"event"', b'"stdout"', b'"result"')
        if b'"result"' in data:
            raise DaemonError(data.decode(errors="replace"))

    def _read(self):
        piece = self._socket.recv(65536)
        if not piece:
            raise DaemonError("the daemon closed the connection")
        return piece

    def _read_until(self, data, mark, *either):
        """Reads on until `mark` is there and, if any are given, one of the other marks."""
        while mark not in data or (either and not any(other in data for other in either)):
            data += self._read()
        return data


def _content_length(head):
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise DaemonError("an answer without a length: " + head.decode(errors="replace"))
