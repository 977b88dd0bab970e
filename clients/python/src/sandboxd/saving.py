# SPDX-License-Identifier: Apache-2.0
"""Putting a run's artifacts into a directory.

The names come from a sandbox: each part is made without following a link, and nothing outside of
the directory can be reached through them.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def save(artifacts: Mapping[str, bytes], directory: Path) -> list[Path]:
    """Writes each artifact below `directory`, which is made when it is missing.

    Files of the same names are replaced. Raises OSError for what cannot be written, and ValueError
    for a name that leads outside; what was written before stays.
    """
    directory.mkdir(parents=True, exist_ok=True)
    root = os.open(directory, _DIRECTORY)
    try:
        for name, content in artifacts.items():
            _write(root, name, content)
    finally:
        os.close(root)
    return [directory / name for name in artifacts]


def _write(root: int, name: str, content: bytes) -> None:
    parts = name.encode("utf-8", "surrogateescape").split(b"/")
    if any(part in (b"", b".", b"..") or b"\0" in part for part in parts):
        raise ValueError(f"an artifact's name is {name!r:.200}, which is no path below a directory")
    opened = [root]
    try:
        for part in parts[:-1]:
            opened.append(_entered(opened[-1], part))
        # A file of an earlier run is replaced; unlink follows no link.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(parts[-1], dir_fd=opened[-1])
        with open(os.open(parts[-1], _NEW_FILE, 0o644, dir_fd=opened[-1]), "wb") as file:
            file.write(content)
    finally:
        for descriptor in opened[1:]:
            os.close(descriptor)


def _entered(directory: int, part: bytes) -> int:
    with contextlib.suppress(FileExistsError):
        os.mkdir(part, 0o755, dir_fd=directory)
    return os.open(part, _DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)
