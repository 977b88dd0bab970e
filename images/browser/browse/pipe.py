# SPDX-License-Identifier: Apache-2.0
"""The DevTools protocol over a pair of pipes: JSON texts, each ended by a NUL."""
import json
import os
import select
import time

from .errors import BrowserGone, PageFailed, TimedOut

LARGEST = 256 << 20


class CallFailed(PageFailed):
    """Chromium refused a call; the text is Chromium's."""


class Pipe:
    """Calls and their answers, in one thread.

    Whoever waits for anything pumps: messages are taken one by one, answers are kept, and events go
    to `handler(method, params, session)`, which may send and must not call.
    """

    def __init__(self, read_fd, write_fd):
        self.read_fd = read_fd
        self.write_fd = write_fd
        self.handler = lambda method, params, session: None
        self.buffer = bytearray()
        self.scanned = 0
        self.last = 0
        self.waited = set()
        self.answers = {}
        self.poll = select.poll()
        self.poll.register(read_fd, select.POLLIN)

    def send(self, method, params=None, session=None):
        """Sends a call whose answer nobody waits for, and answers its number."""
        self.last += 1
        message = {"id": self.last, "method": method, "params": params or {}}
        if session:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        try:
            while data:
                data = data[os.write(self.write_fd, data):]
        except BrokenPipeError:
            raise BrowserGone("Chromium ended") from None
        return self.last

    def call(self, method, params=None, session=None, deadline=None):
        """Sends a call and answers its result."""
        number = self.send(method, params, session)
        self.waited.add(number)
        try:
            self.pump(lambda: number in self.answers, deadline)
            answer = self.answers[number]
        finally:
            self.waited.discard(number)
            self.answers.pop(number, None)
        if "error" in answer:
            raise CallFailed(f"{method}: {answer['error'].get('message', 'no reason given')}")
        return answer.get("result", {})

    def pump(self, until, deadline=None):
        """Takes messages until `until()` holds."""
        while not until():
            message = self.take()
            if message is not None:
                self.dispatch(message)
                continue
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise TimedOut("no answer in time")
            if self.poll.poll(None if left is None else int(left * 1000) + 1):
                self.read()

    def take(self):
        """One whole message of what was read, or nothing."""
        end = self.buffer.find(b"\0", self.scanned)
        if end < 0:
            self.scanned = len(self.buffer)
            return None
        message = json.loads(self.buffer[:end])
        del self.buffer[: end + 1]
        self.scanned = 0
        return message

    def read(self):
        data = os.read(self.read_fd, 1 << 20)
        if not data:
            raise BrowserGone("Chromium ended")
        if len(self.buffer) + len(data) > LARGEST:
            raise PageFailed(f"a message of Chromium's is larger than {LARGEST >> 20} MiB")
        self.buffer += data

    def dispatch(self, message):
        if "id" in message:
            if message["id"] in self.waited:
                self.answers[message["id"]] = message
        else:
            self.handler(message["method"], message.get("params", {}), message.get("sessionId"))
