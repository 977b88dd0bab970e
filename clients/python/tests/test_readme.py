# SPDX-License-Identifier: Apache-2.0
"""What the project's README tells a worker to change, run as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sandboxd.canary import inside

REPORT = "import os; print('host' if os.path.exists('host-only') else 'sandbox')"


def snippet(kept: str) -> str:
    """The code before the change ('-') or after it ('+')."""
    path = os.environ.get("SANDBOXD_README")
    if not path:
        pytest.skip("SANDBOXD_README is not set: run scripts/test-python")
    found = re.search(r"```diff\n(.*?)```", Path(path).read_text(), re.DOTALL)
    assert found, "the README has no diff"
    lines = [line[1:] for line in found.group(1).splitlines() if line[0] in (kept, " ")]
    return "\n".join(lines)


def run(code: str, task_id: str, place: Path) -> str:
    """What a worker of that code prints for a task."""
    (place / "report.py").write_text(REPORT)
    (place / "host-only").touch()
    program = f"import subprocess\ntask_id = {task_id!r}\n{code}"
    bin_directory = os.path.dirname(os.environ["SANDBOXD_PROGRAM"])
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=place,
        env=os.environ | {"PATH": f"{bin_directory}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


def test_the_line_that_is_changed(socket: str, tmp_path: Path) -> None:
    before, after = snippet("-"), snippet("+")
    assert before != after and '"--canary", "10"' in after
    ids = [f"task-{number}" for number in range(100)]
    taken = next(name for name in ids if inside(name, 10))
    left = next(name for name in ids if not inside(name, 10))
    assert run(before, taken, tmp_path) == "host"
    assert run(after, left, tmp_path) == "host"
    assert run(after, taken, tmp_path) == "sandbox"
