# SPDX-License-Identifier: Apache-2.0
"""Waiting for what another process does, and looking at who is there."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

SLOWNESS = float(os.environ.get("SANDBOXD_TEST_SLOWNESS", "1"))


def eventually(condition: Callable[[], object], seconds: float = 10) -> None:
    """Comes back when the condition holds, and fails when it does not in time."""
    end = time.monotonic() + seconds * SLOWNESS
    while not condition():
        assert time.monotonic() < end, f"it did not come about within {seconds} s"
        time.sleep(0.02)


def processes_with(marker: str) -> list[int]:
    """The processes that have the marker among their arguments, but this one."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if marker.encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            # It has ended meanwhile.
            continue
    return found
