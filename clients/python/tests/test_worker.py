# SPDX-License-Identifier: Apache-2.0
"""The example of an operator's worker, on the queue of the shared daemon."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.waiting import SLOWNESS, eventually, processes_with

from sandboxd import Sandbox
from sandboxd.canary import inside

pytest.importorskip("psycopg")
import psycopg

EXAMPLES = Path(
    os.environ.get("SANDBOXD_EXAMPLES", Path(__file__).parent.parent.parent.parent / "examples")
)
DATABASE = os.environ.get("SANDBOXD_TEST_DATABASE", "")
#: Of leases, in seconds; a fourth of it is what a statement may take.
TTL = str(8 * SLOWNESS)
PROGRAM = os.environ.get("SANDBOXD_PROGRAM", "sandboxd")


@pytest.fixture
def worker(socket: str, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts workers, which end with the test."""
    if not DATABASE:
        pytest.skip("SANDBOXD_TEST_DATABASE is not set: run scripts/test-python")
    started: list[subprocess.Popen[bytes]] = []

    def start(*options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, str(EXAMPLES / "worker/worker.py"), "--database", DATABASE]
        command += ["--socket", socket, "--program", PROGRAM, "--node", uuid.uuid4().hex]
        with open(tmp_path / "log", "ab") as log:
            one = subprocess.Popen([*command, *options], stdout=log, stderr=log)
        started.append(one)
        return one

    yield start
    for one in started:
        one.terminate()
        assert one.wait(20 * SLOWNESS) == 0, (tmp_path / "log").read_text()


@pytest.fixture
def canary() -> None:
    """Skips where the command line has no canary."""
    shown = subprocess.run([PROGRAM, "run", "--help"], capture_output=True, text=True)
    if "--canary" not in shown.stdout + shown.stderr:
        pytest.skip("this build of sandboxd has no 'run --canary'")


def enqueue(budget: str = "default", **spec: Any) -> int:
    """Puts a task into the pool of host tasks by SQL, as an application would."""
    with psycopg.connect(DATABASE) as connection:
        row = connection.execute(
            "SELECT sandboxd.enqueue('code', %s::jsonb, %s, p_pool => 'host')",
            (psycopg.types.json.Json(spec), budget),
        ).fetchone()
    assert row is not None
    return int(row[0])


def test_a_tool_is_called_by_the_client(
    worker: Callable[..., subprocess.Popen[bytes]], sandbox: Sandbox
) -> None:
    worker()
    spec = {"argv": ["cat", "in.txt"], "tool": "code", "files": {"in.txt": "hello"}}
    task = sandbox.wait(enqueue(**spec), timeout=60)
    assert (task.state, task.pool) == ("succeeded", "host")
    assert task.result is not None and task.result.stdout == b"hello"
    assert task.result.receipt.clean and task.result.profile == "code"
    bad = sandbox.wait(enqueue(argv=["sh", "-c", "exit 5"], tool="code"), timeout=60)
    assert (bad.state, bad.verdict, bad.exit_code) == ("failed", "exit", 5)


def test_a_tool_is_paid_once(
    worker: Callable[..., subprocess.Popen[bytes]], sandbox: Sandbox
) -> None:
    worker()
    name = uuid.uuid4().hex
    sandbox.set_budget(name, period="total")
    task_id = enqueue(name, argv=["python3", "-c", "sum(range(3_000_000))"], tool="code")
    assert sandbox.wait(task_id, timeout=60).state == "succeeded"
    units = sandbox.budget(name).units
    # The budget `default` has paid: the run in the sandbox is a direct one.
    used = {unit: units[unit].used for unit in ("cpu_ms", "memory_mib_s", "wall_ms", "runs")}
    assert used == {"cpu_ms": 0, "memory_mib_s": 0, "wall_ms": 0, "runs": 1}
    direct = sandbox.task(task_id).result
    assert direct is not None and direct.usage.cpu_ms > 0


def test_cancelling_a_task_ends_its_tool(
    worker: Callable[..., subprocess.Popen[bytes]], sandbox: Sandbox
) -> None:
    worker("--ttl", TTL)
    word = f"marker-{uuid.uuid4().hex}"
    task_id = enqueue(argv=["sh", "-c", "sleep 100", word], tool="code")
    eventually(lambda: processes_with(word))
    assert sandbox.cancel(task_id) == "cancelling"
    assert sandbox.wait(task_id, timeout=30).state == "cancelled"
    eventually(lambda: not processes_with(word))


def test_a_worker_that_is_stopped_gives_its_tasks_back(
    worker: Callable[..., subprocess.Popen[bytes]], sandbox: Sandbox
) -> None:
    one = worker()
    word = f"marker-{uuid.uuid4().hex}"
    task_id = enqueue(argv=["sh", "-c", "sleep 100", word], tool="code")
    eventually(lambda: processes_with(word))
    one.send_signal(signal.SIGTERM)
    assert one.wait(20) == 0
    task = sandbox.task(task_id)
    assert (task.state, task.attempts_counted) == ("ready", 0)
    sandbox.cancel(task_id)
    assert sandbox.task(task_id).state == "cancelled"


def test_a_worker_that_was_frozen_lets_go_of_what_it_lost(
    worker: Callable[..., subprocess.Popen[bytes]], sandbox: Sandbox
) -> None:
    one = worker("--ttl", TTL)
    word = f"marker-{uuid.uuid4().hex}"
    task_id = enqueue(argv=["sh", "-c", "sleep 100", word], tool="code")
    eventually(lambda: processes_with(word))
    one.send_signal(signal.SIGSTOP)
    try:
        eventually(lambda: sandbox.task(task_id).state != "running", 30)
    finally:
        one.send_signal(signal.SIGCONT)
    [lost] = sandbox.task(task_id).attempts
    assert lost.verdict == "lease_lost"
    # It registers anew, and may well be given the same task again.
    eventually(lambda: len(processes_with(word)) == 0 or sandbox.task(task_id).state == "running")
    sandbox.cancel(task_id)
    assert sandbox.wait(task_id, timeout=60).state == "cancelled"
    eventually(lambda: not processes_with(word))


@pytest.mark.parametrize("percent", ["0", "100"])
def test_cancelling_a_task_ends_its_command(
    worker: Callable[..., subprocess.Popen[bytes]], canary: None, sandbox: Sandbox, percent: str
) -> None:
    worker("--canary", percent, "--ttl", TTL)
    word = f"marker-{uuid.uuid4().hex}"
    task_id = enqueue(argv=["sh", "-c", "sleep 100; true", word])
    eventually(lambda: processes_with(word))
    sandbox.cancel(task_id)
    assert sandbox.wait(task_id, timeout=30).state == "cancelled"
    eventually(lambda: not processes_with(word))
    eventually(lambda: sandbox.status().runs == 0)


def test_a_share_of_the_commands_is_sandboxed(
    worker: Callable[..., subprocess.Popen[bytes]], canary: None, sandbox: Sandbox, tmp_path: Path
) -> None:
    worker("--canary", "50", "--profile", "code", "--room", "2")
    here = tmp_path / "here"
    here.write_text("on the host")
    here.chmod(0o644)
    # A sandbox has no such file.
    command = ["sh", "-c", f"cat {here} 2>/dev/null || echo sandboxed"]
    for task_id in [enqueue(argv=command) for _ in range(12)]:
        task = sandbox.wait(task_id, timeout=60)
        assert (task.state, task.exit_code) == ("succeeded", 0)
        report = task.attempts[0].raw["report"]
        expected = "sandboxed\n" if inside(str(task.task_id), 50) else "on the host"
        assert report["stdout"] == expected
        assert report["sandboxed"] == inside(str(task.task_id), 50)


def test_a_sandboxed_command_that_was_ended_for_a_cap_is_not_tried_again(
    worker: Callable[..., subprocess.Popen[bytes]], canary: None, sandbox: Sandbox
) -> None:
    # Of a profile whose canary was never set, every task goes to the sandbox.
    worker("--canary", "stored", "--profile", "code")
    task = sandbox.wait(enqueue(argv=["yes"]), timeout=120)
    assert (task.state, task.verdict, task.attempts_counted) == ("failed", "output", 1)
    assert task.attempts[0].raw["report"]["sandboxed"]
