# SPDX-License-Identifier: Apache-2.0
"""Every refusal of the real daemon as an exception that says what to do."""

from __future__ import annotations

import os
import socket as sockets
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.asking import CLIENTS, Asker
from support.own_daemon import OwnDaemon
from support.waiting import eventually

from sandboxd import (
    Answered,
    Busy,
    DaemonUnreachable,
    NotSandboxd,
    RequestRefused,
    Sandbox,
    SandboxdError,
    Unavailable,
)


@pytest.fixture(params=CLIENTS)
def asker(request: pytest.FixtureRequest, socket: str) -> Asker:
    """Each client once."""
    return Asker(request.param, socket)


def refused(kind: type[Answered], ask: Callable[[], object]) -> Answered:
    """Answers the exception, which is of exactly this kind and has words."""
    with pytest.raises(SandboxdError) as raised:
        ask()
    assert type(raised.value) is kind, repr(raised.value)
    assert str(raised.value) == raised.value.message != ""
    return raised.value


RUNS: list[tuple[str, list[str], dict[str, Any], int, str, str | None, str]] = [
    ("code", [], {}, 400, "invalid_request", "argv", "say what to run"),
    ("none", ["true"], {}, 404, "unknown_profile", None, "known: browser, code"),
    ("code", ["true"], {"timeout": 1e6}, 400, "loosening", None, "wall_time"),
    ("code", ["true"], {"engine": "magic"}, 400, "invalid_request", "engine", "native, docker"),
    ("code", ["true"], {"files": {"../x": ""}}, 400, "invalid_request", None, "'../x'"),
    ("code", ["true"], {"files": {"x": b"x" * (33 << 20)}}, 400, "invalid_request", None, "takes"),
    ("code", ["true"], {"allow": ["a.example:443"]}, 400, "loosening", None, "a.example:443"),
    ("code", ["true"], {"secrets": ["token"]}, 400, "loosening", None, "'token'"),
    ("code", ["true"], {"limits": {"legs": 4}}, 400, "invalid_request", "limits", "'legs'"),
    ("code", ["true"], {"env": {"A": 5}}, 400, "invalid_request", "env.A", "not a string"),
    ("code", ["true"], {"budget": "nobody"}, 404, "unknown_budget", None, "'nobody'"),
    ("code", ["true"], {"files": {"x": b"x" * (98 << 20)}}, 413, "too_large", None, "larger than"),
]


@pytest.mark.parametrize(("profile", "argv", "options", "status", "code", "field", "words"), RUNS)
def test_a_run_that_makes_no_sense(
    asker: Asker,
    profile: str,
    argv: list[str],
    options: dict[str, Any],
    status: int,
    code: str,
    field: str | None,
    words: str,
) -> None:
    for name, how in (("run", asker.ask), ("stream", asker.events)):
        error = refused(RequestRefused, lambda: how(name, profile, argv, **options))
        assert (error.status, error.code) == (status, code), error
        assert words in error.message
        if field is not None:
            assert error.field == field


def test_what_is_not_there(asker: Asker) -> None:
    for name, argument, code in (
        ("task", 10**9, "no_task"),
        ("cancel", 10**9, "no_task"),
        ("retry", 10**9, "no_task"),
        ("wait", 10**9, "no_task"),
        ("artifact", "0" * 64, "no_artifact"),
        ("budget", "nobody", "unknown_budget"),
        ("budget", "a/b?c", "unknown_budget"),
    ):
        error = refused(RequestRefused, lambda: asker.ask(name, argument))
        assert (error.status, error.code) == (404, code)


def test_a_key_that_is_taken(asker: Asker, sandbox: Sandbox) -> None:
    key = uuid.uuid4().hex
    first = asker.ask("run", "code", ["sh", "-c", "cat /proc/sys/kernel/random/uuid"], key=key)
    again = asker.ask("run", "code", ["sh", "-c", "cat /proc/sys/kernel/random/uuid"], key=key)
    assert again.stdout == first.stdout != b"" and again.attempt_id == first.attempt_id
    error = refused(RequestRefused, lambda: asker.ask("run", "code", ["true"], key=key))
    assert (error.status, error.code) == (409, "key_taken")
    key = uuid.uuid4().hex
    with sandbox.stream("code", ["sleep", "60"], key=key) as stream:
        next(stream)
        error = refused(
            RequestRefused, lambda: asker.ask("run", "code", ["sleep", "60"], key=key)
        )
        assert (error.status, error.code) == (409, "runs_already")


def test_a_budget_that_cannot_pay(asker: Asker) -> None:
    name = f"poor-{uuid.uuid4().hex[:8]}"
    asker.ask("set_budget", name, runs_cap=0)
    error = refused(Busy, lambda: asker.ask("run", "code", ["true"], budget=name))
    assert (error.status, error.code, error.retry_after) == (429, "budget", 60)
    error = refused(Busy, lambda: asker.ask("submit", "code", ["true"], budget=name))
    assert (error.status, error.code) == (429, "budget")
    error = refused(RequestRefused, lambda: asker.ask("set_budget", name, legs=4))
    assert (error.status, error.code) == (400, "invalid_request")


def test_an_engine_that_is_not_there(asker: Asker) -> None:
    error = refused(Busy, lambda: asker.ask("run", "code", ["true"], engine="docker"))
    assert (error.status, error.code, error.retry_after) == (503, "engine", 5)


def test_memory_that_is_not_free(daemon: Callable[..., OwnDaemon]) -> None:
    own = daemon("--memory", "600").sandbox
    with own.stream("code", ["sleep", "60"]) as stream:
        next(stream)
        error = refused(Busy, lambda: own.run("code", ["true"]))
        assert (error.status, error.code, error.retry_after) == (429, "memory", 1)
    eventually(lambda: own.status().runs == 0)
    assert own.run("code", ["true"]).ok
    error = refused(RequestRefused, lambda: own.run("browser", ["true"]))
    assert (error.status, error.code) == (400, "never_fits")


def test_a_daemon_without_a_database(daemon: Callable[..., OwnDaemon]) -> None:
    own = daemon("--database", "none").sandbox
    assert own.status().queue_ready is None and own.run("code", ["true"]).ok
    error = refused(Unavailable, lambda: own.submit("code", ["true"]))
    assert (error.status, error.code, error.retry_after) == (503, "no_database", None)
    error = refused(RequestRefused, lambda: own.run("code", ["true"], key="x"))
    assert (error.status, error.field) == (400, "budget")


def test_a_disk_that_is_full(daemon: Callable[..., OwnDaemon]) -> None:
    own = daemon("--disk-limit", "1").sandbox
    assert not own.status().disk_ready
    error = refused(Busy, lambda: own.run("code", ["true"]))
    assert (error.status, error.code, error.retry_after) == (503, "disk", 60)


def test_an_image_that_is_missing(daemon: Callable[..., OwnDaemon], tmp_path: Path) -> None:
    own = daemon(images=str(tmp_path)).sandbox
    assert not any(profile.ready for profile in own.profiles())
    error = refused(Unavailable, lambda: own.run("code", ["true"]))
    assert (error.status, error.code) == (503, "image")


def test_nobody_there(asker: Asker, tmp_path: Path) -> None:
    def unreachable(path: str) -> str:
        with pytest.raises(DaemonUnreachable) as raised:
            type(asker)(asker._kind, path).ask("status")
        assert raised.value.socket == path
        return str(raised.value)

    assert "sandboxd serve" in unreachable(str(tmp_path / "none"))
    assert "107" in unreachable("/" + "x" * 200)
    dead = sockets.socket(sockets.AF_UNIX)
    dead.bind(str(tmp_path / "dead"))
    dead.close()
    assert "Connection refused" in unreachable(str(tmp_path / "dead"))
    if os.geteuid() != 0:
        with sockets.socket(sockets.AF_UNIX) as closed:
            closed.bind(str(tmp_path / "closed"))
            closed.listen()
            os.chmod(tmp_path / "closed", 0)
            assert "belongs to another user" in unreachable(str(tmp_path / "closed"))


def test_a_queue_of_callers_that_is_full(asker: Asker, tmp_path: Path) -> None:
    path = str(tmp_path / "full")
    with sockets.socket(sockets.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(0)
        listener.settimeout(20)
        waiting: list[sockets.socket] = []
        while True:
            one = sockets.socket(sockets.AF_UNIX)
            one.setblocking(False)
            if one.connect_ex(path) != 0:
                one.close()
                break
            waiting.append(one)

        def answer() -> None:
            for _ in waiting:
                listener.accept()[0].close()
            connection = listener.accept()[0]
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            connection.close()

        timer = threading.Timer(0.5, answer)
        timer.start()
        try:
            assert Asker(asker._kind, path).ask("status").runs == 0
        finally:
            timer.join(10)
            for one in waiting:
                one.close()


def test_another_server_is_not_sandboxd(asker: Asker, tmp_path: Path) -> None:
    path = str(tmp_path / "ssh")
    with sockets.socket(sockets.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        listener.settimeout(20)

        def answer() -> None:
            connection = listener.accept()[0]
            connection.sendall(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n" * 4000)
            connection.recv(4096)
            connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(NotSandboxd):
            Asker(asker._kind, path).ask("status")
        thread.join(10)
