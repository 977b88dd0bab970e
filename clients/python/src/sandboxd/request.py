# SPDX-License-Identifier: Apache-2.0
"""What is asked for, as the API takes it."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from typing_extensions import Required


@dataclass(frozen=True)
class File:
    """A file of the workspace with a mode of its own."""

    content: str | bytes
    mode: int = 0o644


@dataclass(frozen=True)
class Secret:
    """A secret of the daemon's, by name: the file .secrets/NAME, or a header that the proxy writes.

    With `header` and `to`, a host:port, plain HTTP requests to there get it, and the sandbox never
    sees it.
    """

    name: str
    header: str | None = None
    to: str | None = None


class RunOptions(TypedDict, total=False):
    """What a run or a task may ask for beside its profile and its command; all may be left out."""

    #: Files that are in the workspace before the command starts, by path.
    files: Mapping[str, str | bytes | File]
    #: Standard input; without it, an empty one.
    stdin: str | bytes
    #: Variables beside and before the profile's.
    env: Mapping[str, str]
    #: Seconds until the run is ended, with the verdict `wall_time`; at most the profile's.
    timeout: float
    #: Bytes of memory; at most the profile's.
    memory: int
    #: Other limits under the API's names, such as `pids`; each at most the profile's.
    limits: Mapping[str, int]
    #: The working directory, absolute.
    cwd: str
    #: Places, as host:port, that it may reach beside the profile's.
    allow: Sequence[str]
    #: Secrets; a text is NAME or NAME=HOST:PORT/HEADER.
    secrets: Sequence[str | Secret]
    #: What makes the sandbox: `native` or `docker`. Default, the profile's choice.
    engine: str
    #: The budget that pays. Default, `default`.
    budget: str
    #: The caller's name for this: asked for again with the same, it is not done again.
    key: str
    #: Whether files below /workspace/out are kept. Default, yes.
    artifacts: bool
    #: `denied` or `all`: which system calls the result tells of. The second is slow.
    explain: str


class DirectOptions(RunOptions, total=False):
    """What only a direct run has."""

    #: The digest of an image to try, which the profile's image has as candidate or previous one.
    image: str
    #: Seconds after which this client gives up and the run is cancelled. Default: a minute more
    #: than `timeout`, else a day.
    give_up_after: float


class TaskOptions(RunOptions, total=False):
    """What only a task has."""

    #: -100 to 100; higher is earlier.
    priority: int
    #: When it may start, with a time zone. Default, at once.
    run_at: datetime
    #: It is not started after this.
    deadline_at: datetime
    #: 1 to 100. Default, 3.
    max_attempts: int
    #: Verdicts after which it is tried again. Default, those that the job cannot help.
    retry_on: Sequence[str]
    #: `sandbox`, or `host` for workers of the operator's.
    pool: str


class TaskRequest(TaskOptions, total=False):
    """One task of a batch."""

    profile: Required[str]
    argv: Required[Sequence[str]]


_PLAIN = (
    "env", "cwd", "engine", "budget", "key", "artifacts", "explain", "image", "priority",
    "max_attempts", "pool",
)
_OWN = (
    "files", "stdin", "timeout", "memory", "limits", "allow", "secrets", "retry_on", "run_at",
    "deadline_at", "give_up_after",
)


def members(profile: str, argv: Sequence[str], options: Mapping[str, Any]) -> dict[str, Any]:
    """Answers the members of a request's body.

    Raises TypeError for an option that there is not, and ValueError for a value that makes no sense
    in any case; everything else the daemon judges.
    """
    for name in options:
        if name not in _PLAIN and name not in _OWN:
            raise TypeError(f"there is no option '{name}' (known: {', '.join(_PLAIN + _OWN)})")
    # A text is a sequence of texts, too: each letter would be an argument.
    body: dict[str, Any] = {"profile": profile, "argv": _list("argv", argv)}
    body.update({name: options[name] for name in _PLAIN if options.get(name) is not None})
    if options.get("env") is not None:
        body["env"] = dict(options["env"])
    for name in ("allow", "retry_on"):
        if options.get(name) is not None:
            body[name] = _list(name, options[name])
    if options.get("secrets") is not None:
        body["secrets"] = [_secret(secret) for secret in _list("secrets", options["secrets"])]
    if options.get("files") is not None:
        body["files"] = [_file(path, content) for path, content in options["files"].items()]
    if options.get("stdin") is not None:
        body.update(_content("stdin", "stdin_base64", options["stdin"], "stdin"))
    for name in ("run_at", "deadline_at"):
        if options.get(name) is not None:
            body[name] = _moment(name, options[name])
    limits = _limits(options)
    if limits:
        body["limits"] = limits
    return body


def encode(body: Mapping[str, Any]) -> bytes:
    """Answers a body as JSON."""
    return json.dumps(body, allow_nan=False).encode("ascii")


def seconds(name: str, value: float) -> float:
    """Answers a number of seconds above 0; raises ValueError for anything else."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or not 0 < value < 1e9:
        raise ValueError(f"'{name}' is {value!r:.40}: give seconds, more than 0")
    return float(value)


def _list(name: str, values: Iterable[Any]) -> list[Any]:
    if isinstance(values, (str, bytes)):
        raise ValueError(f"'{name}' is one text: give a list of them")
    return list(values)


def _limits(options: Mapping[str, Any]) -> dict[str, int]:
    limits = dict(options.get("limits") or {})
    if options.get("timeout") is not None:
        limits["wall_time_ms"] = max(1, int(seconds("timeout", options["timeout"]) * 1000))
    if options.get("memory") is not None:
        limits["memory_bytes"] = options["memory"]
    return limits


def _content(text_key: str, bytes_key: str, content: object, what: str) -> dict[str, str]:
    if isinstance(content, str):
        return {text_key: content}
    if isinstance(content, (bytes, bytearray, memoryview)):
        return {bytes_key: base64.b64encode(content).decode("ascii")}
    raise ValueError(f"{what} is {type(content).__name__}: give text or bytes")


def _file(path: str, content: object) -> dict[str, Any]:
    file = content if isinstance(content, File) else None
    inside = file.content if file else content
    member: dict[str, Any] = {"path": str(path)}
    member.update(_content("text", "base64", inside, f"file '{path}'"))
    if file:
        member["mode"] = file.mode
    return member


def _secret(secret: str | Secret) -> dict[str, str]:
    if isinstance(secret, Secret):
        named = {"name": secret.name, "header": secret.header, "to": secret.to}
        return {name: value for name, value in named.items() if value is not None}
    name, equals, rest = secret.partition("=")
    if not equals:
        return {"name": secret}
    place, slash, header = rest.rpartition("/")
    # What is malformed the daemon refuses, by name.
    return {"name": name, "header": header, "to": place} if slash else {"name": name, "to": rest}


def _moment(name: str, moment: datetime) -> str:
    if not isinstance(moment, datetime):
        raise ValueError(f"'{name}' is {type(moment).__name__}: give a datetime")
    if moment.tzinfo is None:
        raise ValueError(f"'{name}' has no time zone: give one, such as datetime.timezone.utc")
    return moment.isoformat()
