# SPDX-License-Identifier: Apache-2.0
"""Artifacts in a directory, whatever they are called and whatever is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandboxd.saving import save


def test_files_and_directories_are_made_and_replaced(tmp_path: Path) -> None:
    for content in (b"one", b"two"):
        assert save({"a/b/c": content, "d": b""}, tmp_path / "x/y") == [
            tmp_path / "x/y/a/b/c", tmp_path / "x/y/d",
        ]
        assert (tmp_path / "x/y/a/b/c").read_bytes() == content


@pytest.mark.parametrize(
    "name", ["", "..", "../x", "a/../../x", "/etc/x", "a//b", "a/", ".", "a/./b", "a\0b"]
)
def test_a_name_that_leads_outside_is_refused(tmp_path: Path, name: str) -> None:
    inside = tmp_path / "inside"
    with pytest.raises(ValueError, match="no path below"):
        save({name: b"x"}, inside)
    assert list(tmp_path.iterdir()) == [inside] and list(inside.iterdir()) == []


def test_no_link_is_followed(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (outside / "file").write_text("untouched")
    (inside / "directory").symlink_to(outside)
    (inside / "file").symlink_to(outside / "file")
    with pytest.raises(OSError):
        save({"directory/file": b"x"}, inside)
    save({"file": b"new"}, inside)
    assert (outside / "file").read_text() == "untouched"
    assert (inside / "file").read_bytes() == b"new" and not (inside / "file").is_symlink()
