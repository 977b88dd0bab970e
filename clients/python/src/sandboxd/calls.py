# SPDX-License-Identifier: Apache-2.0
"""The daemon's routes: for each, what is sent and how the answer is read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from . import request
from .approvals import Approval, read_approval
from .budgets import Budget, read_budget
from .call import LONGEST, PATIENCE, Call
from .canaries import Canary, read_canary
from .events import RunEvent, TaskEvent, read_run_event, read_task_event
from .fields import parse
from .info import Leak, Profile, Status, read_leak, read_profile, read_status
from .result import Result, read_result
from .tasks import Submitted, Task, TaskLine, read_submitted, read_task, read_task_line

_DIGEST = re.compile(r"[0-9a-f]{64}")
LIVE = "application/x-ndjson"
RUN_LOST = "a run ends with its connection, but how far it came is not known"
PAGE_LIMIT = 1000


def run(profile: str, argv: Sequence[str], options: Mapping[str, Any]) -> Call[Result]:
    """Runs a command to its end."""
    return Call(
        "POST",
        "/v1/runs",
        lambda body: read_result(parse(body, "the run's report")),
        body=request.encode(request.members(profile, argv, options)),
        patience=_patience(options),
        when_lost=_run_lost(options),
    )


def stream(profile: str, argv: Sequence[str], options: Mapping[str, Any]) -> Call[RunEvent]:
    """The same, event by event."""
    return Call(
        "POST",
        "/v1/runs",
        read_run_event,
        body=request.encode(request.members(profile, argv, options)),
        accept=LIVE,
        patience=_patience(options),
        when_lost=_run_lost(options),
    )


def _patience(options: Mapping[str, Any]) -> float:
    """A run with a deadline has its time, and a minute for what comes before and after."""
    if options.get("give_up_after") is not None:
        return request.seconds("give_up_after", options["give_up_after"])
    timeout = options.get("timeout")
    return LONGEST if timeout is None else request.seconds("timeout", timeout) + PATIENCE


def _run_lost(options: Mapping[str, Any]) -> str:
    key = options.get("key")
    return RUN_LOST if key is None else RUN_LOST + f"; ask again with the key '{key}' to hear it"


def submit(profile: str, argv: Sequence[str], options: Mapping[str, Any]) -> Call[Submitted]:
    """Puts a task into the queue."""
    return Call(
        "POST",
        "/v1/tasks",
        lambda body: read_submitted(parse(body, "the answer to a task")),
        body=request.encode(request.members(profile, argv, options)),
        when_lost="whether the task was taken is not known; with a 'key' it is safe to ask again",
    )


def submit_many(tasks: Sequence[request.TaskRequest]) -> Call[tuple[Submitted, ...]]:
    """Puts a batch into the queue, all or none."""
    bodies = []
    for task in tasks:
        options = {name: value for name, value in task.items() if name not in ("profile", "argv")}
        bodies.append(request.members(task["profile"], task["argv"], options))
    return Call(
        "POST",
        "/v1/tasks",
        lambda body: parse(body, "the answer to a batch").list_of("tasks", read_submitted),
        body=request.encode({"tasks": bodies}),
        when_lost="whether the tasks were taken is not known; with a 'key' each it is safe to ask "
        "again",
    )


def task(task_id: int) -> Call[Task]:
    """All that is known of a task."""
    return Call(
        "GET", _task(task_id), lambda body: read_task(parse(body, "a task")), task_id=task_id
    )


def next_page(
    state: str | None, found: Sequence[TaskLine], limit: int
) -> Call[tuple[TaskLine, ...]] | None:
    """The page of tasks after those that were found, newest first; None when there are enough."""
    if len(found) >= limit:
        return None
    query: dict[str, Any] = {"limit": min(limit - len(found), PAGE_LIMIT)}
    if state is not None:
        query["state"] = state
    if found:
        query["before"] = found[-1].task_id
    return Call(
        "GET",
        "/v1/tasks?" + urlencode(query),
        lambda body: parse(body, "a list of tasks").list_of("tasks", read_task_line),
    )


def follow(task_id: int, output: bool, patience: float | None) -> Call[TaskEvent]:
    """A task's states, and what it writes."""
    return Call(
        "GET",
        _task(task_id) + "/events" + ("?output=true" if output else ""),
        read_task_event,
        accept=LIVE,
        patience=LONGEST if patience is None else request.seconds("timeout", patience),
        when_lost=f"task {task_id} is kept, and goes on when a daemon runs again: "
        f"ask for it with wait({task_id})",
        task_id=task_id,
    )


def cancel(task_id: int) -> Call[str]:
    """Cancels a task."""
    return Call("DELETE", _task(task_id), _moved, task_id=task_id)


def retry(task_id: int) -> Call[str]:
    """Gives a task that ended badly another round of attempts."""
    return Call("POST", _task(task_id) + "/retry", _moved, body=b"", task_id=task_id)


def approvals() -> Call[tuple[Approval, ...]]:
    """Tasks that wait for a person's word."""
    return Call(
        "GET",
        "/v1/approvals",
        lambda body: parse(body, "the approvals").list_of("approvals", read_approval),
    )


def decide(task_id: int, word: str, digest: str, by: str, why: str | None) -> Call[str]:
    """Lets such a task run (`approve`), or ends it (`deny`)."""
    decision = {"digest": digest, "by": by} | ({} if why is None else {"why": why})
    path = f"{_task(task_id)}/{word}"
    return Call("POST", path, _moved, body=request.encode(decision), task_id=task_id)


def artifact(sha256: str, limit: int) -> Call[bytes]:
    """The content of an artifact, of at most `limit` bytes."""
    if not is_digest(sha256):
        raise ValueError(f"'{sha256[:80]}' is no digest: give 64 hex digits in lower case")
    return Call(
        "GET", "/v1/artifacts/" + sha256, bytes, accept="application/octet-stream", limit=limit,
        when_lost="the artifact is kept; ask again",
    )


def is_digest(sha256: str) -> bool:
    """Whether a text can name an artifact's content."""
    return _DIGEST.fullmatch(sha256) is not None


def attempt(attempt_id: str) -> Call[Result]:
    """The report of an attempt that has ended."""
    return Call(
        "GET",
        "/v1/attempts/" + quote(attempt_id, safe=""),
        lambda body: read_result(parse(body, "the attempt's report")),
    )


def budgets() -> Call[tuple[Budget, ...]]:
    """All budgets."""
    return Call(
        "GET",
        "/v1/budgets",
        lambda body: parse(body, "the budgets").list_of("budgets", read_budget),
    )


def budget(name: str) -> Call[Budget]:
    """One budget."""
    return Call("GET", _budget(name), lambda body: read_budget(parse(body, "a budget")))


def set_budget(name: str, settings: Mapping[str, Any]) -> Call[Budget]:
    """Makes a budget, or changes what the settings name."""
    return Call(
        "PUT",
        _budget(name),
        lambda body: read_budget(parse(body, "a budget")),
        body=request.encode(settings),
    )


def canaries() -> Call[tuple[Canary, ...]]:
    """The canaries that were ever set."""
    return Call(
        "GET",
        "/v1/canaries",
        lambda body: parse(body, "the canaries").list_of("canaries", read_canary),
    )


def canary(profile: str) -> Call[Canary]:
    """One profile's canary."""
    return Call("GET", _canary(profile), lambda body: read_canary(parse(body, "a canary")))


def set_canary(profile: str, settings: Mapping[str, Any]) -> Call[Canary]:
    """Sets what the settings name, and moves tasks that wait to the side where they belong."""
    return Call(
        "PUT",
        _canary(profile),
        lambda body: read_canary(parse(body, "the answer to a canary").member("canary")),
        body=request.encode(settings),
    )


def drain(draining: bool) -> Call[bool]:
    """Lets the node take no new tasks, or take them again."""
    return Call(
        "POST",
        "/v1/drain",
        lambda body: parse(body, "the answer to a drain").flag("draining"),
        body=request.encode({"draining": draining}),
    )


def profiles() -> Call[tuple[Profile, ...]]:
    """The profiles that a run can name."""
    return Call(
        "GET",
        "/v1/profiles",
        lambda body: parse(body, "the profiles").list_of("profiles", read_profile),
    )


def status() -> Call[Status]:
    """What the daemon does now."""
    return Call("GET", "/v1/status", lambda body: read_status(parse(body, "the status")))


def leaks() -> Call[tuple[Leak, ...]]:
    """What was left behind on the daemon's node."""
    return Call(
        "GET", "/v1/leaks", lambda body: parse(body, "the leaks").list_of("leaks", read_leak)
    )


def _task(task_id: int) -> str:
    if isinstance(task_id, bool) or not isinstance(task_id, int):
        raise ValueError(f"a task's id is a number, not {task_id!r:.40}")
    return f"/v1/tasks/{task_id}"


def _budget(name: str) -> str:
    if not name:
        raise ValueError("the budget's name is empty")
    return "/v1/budgets/" + quote(name, safe="")


def _canary(profile: str) -> str:
    if not profile:
        raise ValueError("the profile's name is empty")
    return "/v1/canaries/" + quote(profile, safe="")


def _moved(body: bytes) -> str:
    return parse(body, "a task's state").text("state")
