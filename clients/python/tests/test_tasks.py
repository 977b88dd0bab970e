# SPDX-License-Identifier: Apache-2.0
"""Tasks and budgets on the real daemon, by both clients."""

from __future__ import annotations

import time
import uuid
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest
from support.asking import CLIENTS, Asker
from support.waiting import eventually

from sandboxd import GaveUp, OutputPiece, RequestRefused, Sandbox, TaskChanged
from sandboxd.canary import inside


@pytest.fixture(params=CLIENTS)
def asker(request: pytest.FixtureRequest, socket: str) -> Asker:
    """Each client once."""
    return Asker(request.param, socket)


def test_a_task_from_submission_to_artifacts(asker: Asker) -> None:
    program = "import sys; print(sys.stdin.read() * 2); open('out/file', 'wb').write(b'\\0kept')"
    submitted = asker.ask(
        "submit", "code", ["python3", "-c", program], stdin="x" * 5000, priority=7,
        files={"large": b"\0" * 10_000},
    )
    assert submitted.created
    task = asker.ask("wait", submitted.task_id, timeout=60)
    assert (task.task_id, task.state, task.verdict) == (submitted.task_id, "succeeded", "ok")
    assert task.has_ended and task.exit_code == 0 and task.priority == 7 and task.pool == "sandbox"
    assert task.attempts_counted == len(task.attempts) == 1 and task.max_attempts == 3
    assert task.spec["argv"][0] == "python3" and "stdin_sha256" in task.spec
    assert task.attempts[0].verdict == "ok" and task.attempts[0].raw["charged"]["runs"] == 1
    assert task.result is not None and task.result.stdout == b"x" * 10_000 + b"\n"
    assert asker.ask("fetch_artifacts", task.result).artifacts == {"file": b"\0kept"}
    assert asker.ask("task", submitted.task_id) == task


def test_a_key_makes_one_task(asker: Asker) -> None:
    key = uuid.uuid4().hex
    first = asker.ask("submit", "code", ["true"], key=key)
    again = asker.ask("submit", "code", ["true"], key=key)
    assert first.created and not again.created and first.task_id == again.task_id
    with pytest.raises(RequestRefused) as raised:
        asker.ask("submit", "code", ["false"], key=key)
    assert raised.value.code == "key_taken"
    assert asker.ask("wait", first.task_id, timeout=60).key == key


def test_a_batch_comes_whole_or_not_at_all(asker: Asker) -> None:
    made = asker.ask(
        "submit_many",
        [{"profile": "code", "argv": ["sh", "-c", f"exit {number}"]} for number in range(3)],
    )
    ended = [asker.ask("wait", one.task_id, timeout=60) for one in made]
    assert [(task.state, task.exit_code) for task in ended] == [
        ("succeeded", 0), ("failed", 1), ("failed", 2),
    ]
    with pytest.raises(RequestRefused, match="task 2 of the batch"):
        asker.ask(
            "submit_many", [{"profile": "code", "argv": ["true"]}, {"profile": "code", "argv": []}]
        )


def test_following_tells_states_and_output(asker: Asker) -> None:
    submitted = asker.ask("submit", "code", ["sh", "-c", "echo out; echo err >&2; sleep 1"])
    events = asker.events("follow", submitted.task_id, output=True, timeout=60)
    states = [event.state for event in events if isinstance(event, TaskChanged)]
    assert states[-1] == "succeeded" and events[-1].verdict == "ok"
    pieces = {event.stream: event for event in events if isinstance(event, OutputPiece)}
    assert pieces["stdout"].text == "out\n" and pieces["stderr"].text == "err\n"
    assert len(pieces["stdout"].attempt_id or "") == 32


def test_following_what_has_ended_is_one_event(asker: Asker) -> None:
    submitted = asker.ask("submit", "code", ["true"])
    asker.ask("wait", submitted.task_id, timeout=60)
    [event] = asker.events("follow", submitted.task_id)
    assert event.state == "succeeded"


def test_cancelling_a_task_that_waits_and_one_that_runs(asker: Asker, sandbox: Sandbox) -> None:
    later = datetime.now(timezone.utc) + timedelta(hours=1)
    waiting = asker.ask("submit", "code", ["true"], run_at=later).task_id
    assert asker.ask("task", waiting).state == "delayed"
    assert asker.ask("cancel", waiting) == "cancelled"
    assert asker.ask("cancel", waiting) == "cancelled"
    running = asker.ask("submit", "code", ["sleep", "100"]).task_id
    eventually(lambda: sandbox.task(running).state == "running")
    assert asker.ask("cancel", running) == "cancelling"
    task = asker.ask("wait", running, timeout=30)
    assert (task.state, task.verdict, task.cancel_requested) == ("cancelled", "cancelled", True)


def test_a_task_that_failed_is_tried_again_when_asked(asker: Asker) -> None:
    task_id = asker.ask("submit", "code", ["false"]).task_id
    assert asker.ask("wait", task_id, timeout=60).state == "failed"
    assert asker.ask("retry", task_id) == "ready"
    task = asker.ask("wait", task_id, timeout=60)
    assert task.state == "failed" and [one.fence for one in task.attempts] == [1, 2]


def test_waiting_that_is_given_up_leaves_the_task_alone(asker: Asker) -> None:
    task_id = asker.ask("submit", "code", ["sleep", "100"]).task_id
    began = time.monotonic()
    with pytest.raises(GaveUp):
        asker.ask("wait", task_id, timeout=0.5)
    assert time.monotonic() - began < 5
    assert asker.ask("task", task_id).state in ("ready", "running")
    asker.ask("cancel", task_id)
    assert asker.ask("wait", task_id, timeout=30).state == "cancelled"


def test_lists_are_newest_first_and_as_long_as_asked(asker: Asker) -> None:
    later = datetime.now(timezone.utc) + timedelta(hours=1)
    batch = [{"profile": "code", "argv": ["true"], "run_at": later}] * 1100
    made = {one.task_id for one in asker.ask("submit_many", batch)}
    try:
        # More than one page of the API's.
        found = asker.ask("tasks", state="delayed", limit=1050)
        ids = [line.task_id for line in found]
        assert len(ids) == 1050 and ids == sorted(ids, reverse=True) and set(ids) <= made
        assert len(asker.ask("tasks", limit=3)) == 3 and asker.ask("tasks", limit=0) == []
        assert found[0].raw["argv"] == ["true"]
        with pytest.raises(RequestRefused, match="known: ready"):
            asker.ask("tasks", state="asleep")
    finally:
        for task_id in made:
            asker.ask("cancel", task_id)


def test_budgets_are_set_and_read(asker: Asker) -> None:
    name = f"team.{uuid.uuid4().hex[:8]}"
    budget = asker.ask(
        "set_budget", name, period="day", runs_cap=2, cpu_ms_cap=10**9, price_run=5, paused=False
    )
    assert (budget.name, budget.period, budget.on_exhausted) == (name, "day", "hold")
    assert budget.units["runs"].cap == 2 and budget.units["wall_ms"].cap is None
    assert budget.prices["run"] == 5
    assert asker.ask("run", "code", ["true"], budget=name).ok
    used = asker.ask("budget", name)
    assert used.units["runs"].used == 1 and used.units["runs"].left == 1
    assert used.units["money_nanos"].used == 5
    changed = asker.ask("set_budget", name, runs_cap=None)
    assert changed.units["runs"].cap is None and changed.units["cpu_ms"].cap == 10**9
    assert {one.name for one in asker.ask("budgets")} >= {"default", name}


def test_a_task_that_needs_a_person_s_word_waits_for_it(asker: Asker, newer: None) -> None:
    name = f"careful-{uuid.uuid4().hex[:8]}"
    asker.ask("set_budget", name, approval="required", approval_above_nanos=None)
    with pytest.raises(RequestRefused) as refused:
        asker.ask("run", "code", ["true"], budget=name)
    assert (refused.value.status, refused.value.code) == (403, "approval")
    first, second = (
        asker.ask("submit", "code", ["echo", word], budget=name).task_id for word in "ab"
    )
    waiting = {one.task_id: one for one in asker.ask("approvals")}
    assert waiting[first].spec["argv"] == ["echo", "a"] and waiting[first].budget == name
    task = asker.ask("task", first)
    assert task.state == "awaiting_approval" and not task.has_ended
    with pytest.raises(RequestRefused) as stale:
        asker.ask("approve", first, waiting[second].digest, "me")
    assert (stale.value.status, stale.value.code) == (409, "decided")
    asker.ask("approve", first, waiting[first].digest, "me", "looks fine")
    assert asker.ask("wait", first, timeout=60).result.stdout == b"a\n"
    asker.ask("deny", second, waiting[second].digest, "me")
    assert asker.ask("task", second).state == "rejected"


def test_waiting_goes_on_while_a_person_thinks(asker: Asker, newer: None) -> None:
    name = f"careful-{uuid.uuid4().hex[:8]}"
    asker.ask("set_budget", name, approval="required")
    task_id = asker.ask("submit", "code", ["true"], budget=name).task_id
    try:
        with pytest.raises(GaveUp):
            asker.ask("wait", task_id, timeout=1)
    finally:
        asker.ask("cancel", task_id)


@pytest.fixture
def newer(sandbox: Sandbox) -> None:
    """Skips for a daemon without canaries and explanations."""
    try:
        sandbox.canaries()
    except RequestRefused as error:
        assert error.code == "no_route"
        pytest.skip("this daemon has no canaries")


def test_canaries_are_set_and_read(asker: Asker, newer: None) -> None:
    try:
        canary = asker.ask("set_canary", "shell", percent="2.5", bound_percent=10, bound_runs=5)
        assert (canary.profile, canary.percent) == ("shell", Decimal("2.5"))
        assert (canary.bound_percent, canary.bound_runs) == (10, 5)
        assert asker.ask("canary", "shell") == canary and canary.tripped_why is None
        assert "shell" in {one.profile for one in asker.ask("canaries")}
        with pytest.raises(RequestRefused, match="'percent' is"):
            asker.ask("set_canary", "shell", percent=100.5)
        with pytest.raises(RequestRefused) as raised:
            asker.ask("canary", "none")
        assert raised.value.status == 404
    finally:
        assert asker.ask("set_canary", "shell", percent=100, bound_percent=None).percent == 100


def test_a_canary_s_tasks_go_where_it_says(asker: Asker, newer: None) -> None:
    try:
        asker.ask("set_canary", "shell", percent=50)
        later = datetime.now(timezone.utc) + timedelta(hours=1)
        batch = [{"profile": "shell", "argv": ["true"], "run_at": later}] * 40
        for one in asker.ask("submit_many", batch):
            pool = "sandbox" if inside(str(one.task_id), 50) else "host"
            assert asker.ask("task", one.task_id).pool == pool
            asker.ask("cancel", one.task_id)
    finally:
        asker.ask("set_canary", "shell", percent=100)


def test_a_refused_call_is_told_of(asker: Asker, newer: None) -> None:
    # Python 3.11 has no name for it: unshare(CLONE_NEWUSER).
    program = "import ctypes; ctypes.CDLL(None).unshare(0x10000000)"
    result = asker.ask("run", "code", ["python3", "-c", program], explain="denied")
    [call] = [call for call in result.calls if call.name == "unshare"]
    assert call.errno == "EPERM" and call.count == 1 and call.program.startswith("python3")
    again = asker.ask("attempt", result.attempt_id)
    assert again.calls == result.calls and again.verdict == result.verdict
    with pytest.raises(RequestRefused) as raised:
        asker.ask("attempt", "0" * 32)
    assert raised.value.code == "no_attempt"


def test_the_daemon_tells_of_itself(asker: Asker) -> None:
    status = asker.ask("status")
    assert status.native_ready and status.queue_ready and status.disk_ready
    assert status.memory_capacity_bytes > 0 and status.raw["finished"] == status.finished
    profiles = {profile.name: profile for profile in asker.ask("profiles")}
    assert profiles["code"].ready and profiles["code"].limits["memory_bytes"] == 512 << 20
    assert profiles["code"].engines[0] == "native" and profiles["code"].description
    assert asker.ask("leaks") == ()
    assert asker.ask("drain") is True
    assert asker.ask("drain", False) is False
