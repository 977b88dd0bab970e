# SPDX-License-Identifier: Apache-2.0
"""What the tests share: the daemon of scripts/test-python, others of their own, and fakes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
from support.fake import FakeDaemon
from support.own_daemon import OwnDaemon

from sandboxd import Sandbox

# No test tells anybody anything.
os.environ["LANGSMITH_TRACING"] = "false"


@pytest.fixture(scope="session")
def socket() -> str:
    """The socket of the daemon that all tests share."""
    path = os.environ.get("SANDBOXD_SOCKET")
    if not path:
        pytest.skip("SANDBOXD_SOCKET is not set: run scripts/test-python")
    return path


@pytest.fixture
def sandbox(socket: str) -> Sandbox:
    """A client of that daemon."""
    return Sandbox(socket)


@pytest.fixture
def daemon(socket: str) -> Iterator[Callable[..., OwnDaemon]]:
    """Starts daemons of the test's own, with further options; they end with the test."""
    started: list[OwnDaemon] = []

    def start(*options: str, **more: str | None) -> OwnDaemon:
        own = OwnDaemon(*options, **more)
        started.append(own)
        return own

    yield start
    for own in started:
        own.stop()


@pytest.fixture
def fake() -> Iterator[Callable[..., FakeDaemon]]:
    """Starts daemons that answer whatever the test says."""
    started: list[FakeDaemon] = []

    def start(*answers: object) -> FakeDaemon:
        one = FakeDaemon(answers)
        started.append(one)
        return one

    yield start
    for one in started:
        one.close()
