# SPDX-License-Identifier: Apache-2.0
"""What is asked for, as the API takes it."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from sandboxd import File, Sandbox, Secret, socket_path
from sandboxd.request import encode, members


def test_every_option_has_its_place() -> None:
    moment = datetime(2030, 1, 31, 12, tzinfo=timezone(timedelta(hours=1)))
    body = members(
        "code",
        ("python3", "main.py"),
        {
            "files": {"a.txt": "text", "b.bin": b"\x00\xff", "c.sh": File("true", 0o755)},
            "stdin": b"in",
            "env": {"A": "1"},
            "timeout": 1.5,
            "memory": 1 << 20,
            "limits": {"pids": 4},
            "allow": ["a.example:443"],
            "secrets": ["token", "key=a.example:80/X-Key", Secret("other", "X", "b.example:80")],
            "retry_on": ("exit",),
            "run_at": moment,
            "artifacts": False,
            "priority": 0,
            "engine": None,
        },
    )
    assert body == {
        "profile": "code",
        "argv": ["python3", "main.py"],
        "files": [
            {"path": "a.txt", "text": "text"},
            {"path": "b.bin", "base64": "AP8="},
            {"path": "c.sh", "text": "true", "mode": 0o755},
        ],
        "stdin_base64": "aW4=",
        "env": {"A": "1"},
        "limits": {"pids": 4, "wall_time_ms": 1500, "memory_bytes": 1 << 20},
        "allow": ["a.example:443"],
        "secrets": [
            {"name": "token"},
            {"name": "key", "header": "X-Key", "to": "a.example:80"},
            {"name": "other", "header": "X", "to": "b.example:80"},
        ],
        "retry_on": ["exit"],
        "run_at": "2030-01-31T12:00:00+01:00",
        "artifacts": False,
        "priority": 0,
    }


def test_a_body_is_ascii_whatever_is_in_it() -> None:
    body = encode(members("code", ["echo", "Zürich \u2028 \U0001f600 \ud800"], {}))
    assert json.loads(body.decode("ascii"))["argv"][1] == "Zürich \u2028 \U0001f600 \ud800"


@pytest.mark.parametrize(
    ("argv", "options", "words"),
    [
        ("ls -l", {}, "'argv' is one text"),
        (["x"], {"timeout": 0}, "'timeout' is 0"),
        (["x"], {"timeout": float("nan")}, "'timeout' is nan"),
        (["x"], {"timeout": "5"}, "'timeout' is '5'"),
        (["x"], {"timeout": True}, "'timeout' is True"),
        (["x"], {"allow": "a:443"}, "'allow' is one text"),
        (["x"], {"stdin": 5}, "stdin is int"),
        (["x"], {"files": {"a": None}}, "file 'a' is NoneType"),
        (["x"], {"run_at": "2030-01-31"}, "'run_at' is str"),
        (["x"], {"deadline_at": datetime(2030, 1, 1)}, "'deadline_at' has no time zone"),
    ],
)
def test_what_makes_no_sense_is_said_before_anything_is_sent(
    argv: Any, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        members("code", argv, options)


def test_an_unknown_option_is_named() -> None:
    with pytest.raises(TypeError, match="no option 'time_out'"):
        Sandbox("/nowhere").run("code", ["true"], time_out=5)  # type: ignore[call-arg]


def test_the_socket_is_where_the_command_line_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket_path, "SHARED", "/nonexistent/sandboxd.sock")
    for name in ("SANDBOXD_SOCKET", "XDG_STATE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    assert Sandbox().socket == "/tmp/.local/state/sandboxd/sandboxd.sock"
    monkeypatch.setenv("HOME", "/home/x")
    assert Sandbox().socket == "/home/x/.local/state/sandboxd/sandboxd.sock"
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert Sandbox().socket == "/state/sandboxd/sandboxd.sock"
    monkeypatch.setattr(socket_path, "SHARED", "/etc/passwd")
    assert Sandbox().socket == "/etc/passwd"
    monkeypatch.setenv("SANDBOXD_SOCKET", "")
    assert Sandbox().socket == "/etc/passwd"
    monkeypatch.setenv("SANDBOXD_SOCKET", "/named")
    assert Sandbox().socket == "/named"
    assert Sandbox("/given").socket == "/given"
