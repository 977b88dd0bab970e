# SPDX-License-Identifier: Apache-2.0
"""Runs on the real daemon, by both clients."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.asking import CLIENTS, Asker

from sandboxd import File, Finished, OutputPiece, RunFailed, Sandbox, Started


@pytest.fixture(params=CLIENTS)
def asker(request: pytest.FixtureRequest, socket: str) -> Asker:
    """Each client once."""
    return Asker(request.param, socket)


def test_a_run_answers_everything(asker: Asker) -> None:
    result = asker.ask("run", "code", ["python3", "-c", "print(6 * 7)"])
    assert result.check() is result
    assert (result.verdict, result.exit_code, result.signal) == ("ok", 0, None)
    assert result.stdout == b"42\n" and result.stdout.text == "42\n" and result.stderr == b""
    assert not result.stdout_truncated and result.artifacts == {} and result.network == ()
    assert result.profile == "code" and result.engine and result.image_digest
    assert len(result.attempt_id) == 32
    assert result.usage.wall_ms > 0 and result.usage.pids_peak != 0
    timing = result.timing
    parts = timing.setup_ms + timing.run_ms + timing.teardown_ms
    assert parts == pytest.approx(timing.total_ms, abs=0.01)
    assert result.receipt.clean and result.receipt.processes_left == 0
    assert result.receipt.problems == ()
    # Nothing of the report was left out.
    assert result.raw["verdict"] == "ok"


def test_files_input_and_variables_arrive_byte_for_byte(asker: Asker) -> None:
    everything = bytes(range(256)) * 300
    program = (
        "import os, sys\n"
        "data = open('in/data.bin', 'rb').read()\n"
        "sys.stdout.buffer.write(data + sys.stdin.buffer.read())\n"
        "print(os.environ['GREETING'], open('a.txt').read(), file=sys.stderr)\n"
        "print(oct(os.stat('tool.sh').st_mode & 0o777), os.getcwd(), file=sys.stderr)\n"
    )
    result = asker.ask(
        "run",
        "code",
        ["python3", "-c", program],
        files={
            "in/data.bin": everything,
            "a.txt": "Zürich 日本\u2028",
            "tool.sh": File("true", 0o755),
        },
        stdin=b"\x00\xffend",
        env={"GREETING": "Grüß Gott"},
        cwd="/workspace",
    ).check()
    assert result.stdout == everything + b"\x00\xffend"
    assert result.stderr.text == "Grüß Gott Zürich 日本\u2028\n0o755 /workspace\n"


def test_artifacts_come_by_name(asker: Asker, tmp_path: Path) -> None:
    program = (
        "import os\n"
        "os.makedirs('out/a/b')\n"
        "open('out/a/b/c.bin', 'wb').write(bytes(range(256)))\n"
        "open('out/same', 'w').write('x')\n"
        "open('out/again', 'w').write('x')\n"
        "open('out/empty', 'w').close()\n"
        "open(b'out/caf\\xe9', 'w').write('y')\n"
        "os.symlink('/etc/passwd', 'out/link')\n"
    )
    result = asker.ask("run", "code", ["python3", "-c", program]).check()
    odd = b"caf\xe9".decode("utf-8", "surrogateescape")
    assert result.artifacts == {
        "a/b/c.bin": bytes(range(256)), "same": b"x", "again": b"x", "empty": b"", odd: b"y",
    }
    assert {item.path: item.size for item in result.artifact_list}["a/b/c.bin"] == 256
    assert [(item.path, item.reason) for item in result.artifacts_refused] == [("link", "symlink")]
    saved = result.save(tmp_path / "kept")
    assert (tmp_path / "kept/a/b/c.bin").read_bytes() == bytes(range(256))
    assert len(saved) == 5 and all(path.is_file() for path in saved)
    digest = next(item.sha256 for item in result.artifact_list if item.path == "same")
    assert asker.ask("artifact", digest) == b"x"


def test_artifacts_can_be_left_alone(asker: Asker) -> None:
    program = ["sh", "-c", "echo x > out/file"]
    assert asker.ask("run", "code", program, artifacts=False).artifact_list == ()


VERDICTS: list[tuple[list[str], dict[str, Any], str, int | None]] = [
    (["sh", "-c", "exit 3"], {}, "exit", 3),
    (["/no/such/program"], {}, "exit", 127),
    (["sh", "-c", "kill -SEGV $$"], {}, "signal", None),
    (["sleep", "100"], {"timeout": 0.5}, "wall_time", None),
    (["python3", "-c", "x = bytearray(10**9)"], {"memory": 64 << 20}, "oom", None),
    (["sh", "-c", "while :; do :; done"], {"limits": {"cpu_time_ms": 300}}, "cpu_time", None),
]


@pytest.mark.parametrize(("argv", "options", "verdict", "status"), VERDICTS)
def test_a_bad_end_is_a_result_until_it_is_checked(
    asker: Asker, argv: list[str], options: dict[str, Any], verdict: str, status: int | None
) -> None:
    result = asker.ask("run", "code", argv, **options)
    assert (result.verdict, result.exit_code) == (verdict, status)
    assert (result.signal == 11) == (verdict == "signal")
    assert result.receipt.clean
    with pytest.raises(RunFailed, match=verdict) as raised:
        result.check()
    assert raised.value.result is result


def test_a_failure_tells_what_its_program_said(sandbox: Sandbox) -> None:
    result = sandbox.run("code", ["python3", "-c", "import nothing_of_this_name"])
    with pytest.raises(RunFailed, match="No module named 'nothing_of_this_name'"):
        result.check()


def test_events_come_as_they_happen(asker: Asker) -> None:
    program = ["sh", "-c", "echo one; sleep 0.3; echo two >&2; sleep 0.3; echo three"]
    events = asker.events("stream", "code", program)
    assert isinstance(events[0], Started) and len(events[0].attempt_id) == 32
    assert isinstance(events[-1], Finished)
    pieces = [event for event in events if isinstance(event, OutputPiece)]
    assert [(piece.stream, piece.text) for piece in pieces] == [
        ("stdout", "one\n"), ("stderr", "two\n"), ("stdout", "three\n"),
    ]
    assert pieces[2].offset == 4
    result = events[-1].result
    assert result.ok and result.stdout == b"one\nthree\n"
    assert result.attempt_id == events[0].attempt_id


def test_an_event_is_there_before_the_run_ends(sandbox: Sandbox) -> None:
    program = "import time; print('ready', flush=True); time.sleep(60)"
    with sandbox.stream("code", ["python3", "-c", program]) as run:
        for event in run:
            if isinstance(event, OutputPiece):
                assert event.text.startswith("ready")
                break
        else:
            pytest.fail("it ended before it said anything")


def test_a_stream_s_artifacts_are_fetched_when_they_are_wanted(sandbox: Sandbox) -> None:
    *_, last = sandbox.stream("code", ["sh", "-c", "echo kept > out/file"])
    assert isinstance(last, Finished) and last.result.artifacts == {}
    assert sandbox.fetch_artifacts(last.result).artifacts == {"file": b"kept\n"}


FLOOD = """
import sys
from sandboxd import Finished, OutputPiece, Sandbox
sandbox = Sandbox(sys.argv[1])
result = sandbox.run("code", ["head", "-c", "1000000000", "/dev/zero"])
seen = 0
for event in sandbox.stream("code", ["head", "-c", "1000000000", "/dev/zero"]):
    seen += len(event.data) if isinstance(event, OutputPiece) else 0
print(result.verdict, len(result.stdout), event.result.verdict, seen)
# Not getrusage: that begins with what the parent had.
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def test_a_gigabyte_of_output_is_no_gigabyte_here(socket: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", FLOOD, socket], capture_output=True, text=True, timeout=120
    )
    assert ended.returncode == 0, ended.stderr
    words, peak = ended.stdout.splitlines()
    verdict, kept, live_verdict, seen = words.split()
    assert verdict == live_verdict == "output"
    assert 1 << 20 <= int(kept) < (1 << 20) + 200 and int(seen) <= 1 << 20
    assert int(peak) < 120 << 10, f"{peak} KiB"
