# SPDX-License-Identifier: Apache-2.0
"""Many at a time."""

import threading
import time

from client import Connection


class Crowd:
    """Workers that do the same thing again and again, side by side."""

    def __init__(self, actions):
        self._actions = actions

    def seconds(self, count):
        """How long the workers need for `count` times in all. The first failure ends it."""
        failures = []
        shares = [count // len(self._actions)] * len(self._actions)
        shares[0] += count % len(self._actions)

        def work(action, share):
            try:
                for _ in range(share):
                    if failures:
                        return
                    action()
            except Exception as error:  # It is raised again below, in the caller's thread.
                failures.append(error)

        threads = [
            threading.Thread(target=work, args=(action, share))
            for action, share in zip(self._actions, shares)
        ]
        start = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        elapsed = time.monotonic() - start
        if failures:
            raise failures[0]
        return elapsed


class Alive:
    """Sandboxes that are alive at the same time, each held by a connection of its own."""

    def __init__(self, socket, request):
        self._socket = socket
        self._request = request
        self._connections = []

    def add(self, count):
        """Starts that many and waits until the job of each has spoken."""
        for _ in range(count):
            connection = Connection(self._socket)
            self._connections.append(connection)
            connection.start(self._request)

    def hang_up(self):
        """Cancels all of them."""
        for connection in self._connections:
            connection.close()
        self._connections = []
