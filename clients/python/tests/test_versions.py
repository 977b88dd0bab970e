# SPDX-License-Identifier: Apache-2.0
"""Daemons that are older or newer than this package."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.asking import CLIENTS, Asker
from support.fake import FakeDaemon, answer, live

from sandboxd import Busy, Finished, OutputPiece, RequestRefused, Started, TaskChanged, UnknownEvent

Fake = Callable[..., FakeDaemon]

pytestmark = pytest.mark.parametrize("kind", CLIENTS)


def test_what_a_newer_daemon_adds_is_kept(kind: str, fake: Fake) -> None:
    report = {
        "verdict": "melted",
        "exit_code": None,
        "temperature": 451,
        "usage": {"cpu_ms": 1.5, "joules": 12},
        "receipt": {"clean": True, "notarised": "yes"},
        "network": [{"place": "a:1", "allowed": True, "latency_ms": 3}],
        "stdout": "hello",
    }
    result = Asker(kind, fake(answer(report)).socket).ask("run", "code", ["true"])
    assert result.verdict == "melted" and not result.ok
    assert result.raw["temperature"] == 451
    assert result.usage.cpu_ms == 1.5 and result.usage.raw["joules"] == 12
    assert result.receipt.clean and result.receipt.raw["notarised"] == "yes"
    assert result.network[0].place == "a:1" and result.network[0].raw["latency_ms"] == 3
    assert result.stdout == b"hello" and result.stdout.text == "hello"


def test_what_an_older_daemon_lacks_has_a_default(kind: str, fake: Fake) -> None:
    result = Asker(kind, fake(answer({"verdict": "ok"})).socket).ask("run", "code", ["true"])
    assert result.ok and result.exit_code is None
    assert result.stdout == b"" and not result.stdout_truncated
    assert result.artifacts == {} and result.network == ()
    assert result.usage.memory_peak_bytes is None and result.timing.total_ms == 0
    # Nothing was proven.
    assert not result.receipt.clean and result.receipt.container_removed is None


def test_an_event_of_an_unknown_kind_is_no_error(kind: str, fake: Fake) -> None:
    events = Asker(
        kind,
        fake(
            live(
                {"event": "started", "attempt_id": "a", "node": "n"},
                {"event": "heated", "degrees": 451},
                {"event": "stdout", "offset": 7, "data": "aGVsbG8=", "colour": "red"},
                {"surprise": True},
                {"event": "result", "result": {"verdict": "ok"}},
            )
        ).socket,
    ).events("stream", "code", ["true"])
    started, heated, piece, surprise, finished = events
    assert isinstance(started, Started) and started.raw["node"] == "n"
    assert heated == UnknownEvent("heated", {"event": "heated", "degrees": 451})
    assert isinstance(piece, OutputPiece) and (piece.text, piece.offset) == ("hello", 7)
    assert isinstance(surprise, UnknownEvent) and surprise.name == ""
    assert isinstance(finished, Finished) and finished.result.ok


def test_a_task_of_another_version(kind: str, fake: Fake) -> None:
    lines = [
        {"task_id": 3, "state": "ready"},
        {"event": "moved", "to": "elsewhere"},
        {"event": "stderr", "attempt_id": "x", "offset": 0, "data": "aGk=", "more": 1},
        {"task_id": 3, "state": "on_ice", "since": "now"},
        {"task_id": 3, "state": "archived"},
    ]
    events = Asker(kind, fake(live(*lines)).socket).events("follow", 3)
    ready, moved, piece, on_ice, archived = events
    assert isinstance(ready, TaskChanged) and not ready.has_ended
    assert isinstance(moved, UnknownEvent)
    assert isinstance(piece, OutputPiece) and piece.attempt_id == "x"
    assert isinstance(on_ice, TaskChanged) and on_ice.raw["since"] == "now"
    # No state that is known; the daemon has ended its answer with it.
    assert isinstance(archived, TaskChanged) and not archived.has_ended

    attempt = {"report": {"error": {"message": "w"}}}
    task = {"task_id": 3, "state": "archived", "attempts": [attempt]}
    found = Asker(kind, fake(answer(task)).socket).ask("task", 3)
    assert found.result is None and found.attempts[0].error == "w" and found.pool == "sandbox"


def test_status_profiles_and_budgets_of_another_version(kind: str, fake: Fake) -> None:
    asker = Asker(kind, fake(answer({"runs": 2, "gpu": {"ready": True}})).socket)
    status = asker.ask("status")
    assert status.runs == 2 and status.docker_ready is None and status.disk_ready
    assert status.raw["gpu"] == {"ready": True}
    profiles = [{"name": "code", "limits": {"memory_bytes": 5, "gpus": 1}}]
    [profile] = Asker(kind, fake(answer({"profiles": profiles})).socket).ask("profiles")
    assert profile.limits == {"memory_bytes": 5, "gpus": 1} and not profile.ready
    budget = {"budget": "b", "units": {"tokens": {"cap": 5, "used": 1, "reserved": 2}}}
    found = Asker(kind, fake(answer(budget)).socket).ask("budget", "b")
    assert found.units["tokens"].left == 2


@pytest.mark.parametrize(
    ("status", "headers", "error"),
    [
        ("418 I'm a teapot", (), RequestRefused),
        ("429 Too Many Requests", (), Busy),
        ("503 Service Unavailable", ("Retry-After: 7",), Busy),
    ],
)
def test_an_unknown_error_keeps_its_words(
    kind: str, fake: Fake, status: str, headers: Any, error: Any
) -> None:
    body = {"error": {"code": "unheard_of", "message": "'argv' is odd", "hint": "none"}}
    with pytest.raises(error, match="'argv' is odd") as raised:
        Asker(kind, fake(answer(body, status, *headers)).socket).ask("run", "code", ["true"])
    assert raised.value.code == "unheard_of" and raised.value.field == "argv"
    assert raised.value.retry_after == (7 if headers else None)
