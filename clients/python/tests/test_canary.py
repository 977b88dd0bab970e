# SPDX-License-Identifier: Apache-2.0
"""The canary's buckets, which the command line and the database count in the same way."""

from __future__ import annotations

import hashlib
import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sandboxd.canary import bucket, inside


def test_the_bucket_is_the_beginning_of_the_digest_modulo_10000() -> None:
    for text in ("1", "task-17", "Zürich", "日本", " "):
        digest = hashlib.sha256(text.encode("utf-8")).hexdigest()
        assert bucket(text) == int(digest[:16], 16) % 10_000


def test_it_counts_as_the_project_does() -> None:
    path = os.environ.get("SANDBOXD_CANARY_VECTORS", "")
    if not Path(path).is_file():
        pytest.skip("SANDBOXD_CANARY_VECTORS names no file: run scripts/test-python")
    checked = 0
    for text, number in vectors(json.loads(Path(path).read_text())):
        assert bucket(text) == number, text
        checked += 1
    assert checked > 0


def vectors(found: Any) -> list[tuple[str, int]]:
    """Pairs of id and bucket, however deep in the file they are."""
    if isinstance(found, dict):
        if isinstance(found.get("id"), str) and isinstance(found.get("bucket"), int):
            return [(found["id"], found["bucket"])]
        found = list(found.values())
    if isinstance(found, list):
        return [pair for inner in found for pair in vectors(inner)]
    return []


def test_a_larger_percentage_only_adds_ids() -> None:
    ids = [f"task-{number}" for number in range(2000)]
    before: set[str] = set()
    for percent in (0, 0.01, 1, 2.5, 10, 33.33, Decimal("66.67"), 99.99, 100):
        now = {text for text in ids if inside(text, percent)}
        assert before <= now
        before = now
    assert before == set(ids)
    assert not any(inside(text, 0) for text in ids)


def test_the_share_is_the_percentage() -> None:
    count = sum(inside(f"task-{number}", 10) for number in range(20_000))
    assert 1800 < count < 2200


def test_the_edge_is_outside() -> None:
    text = next(f"{number}" for number in range(100_000) if bucket(f"{number}") == 250)
    assert not inside(text, 2.5)
    assert inside(text, 2.51)


@pytest.mark.parametrize(
    "percent",
    [-1, -0.01, 100.01, 101, float("nan"), float("inf"), Decimal("NaN"), Decimal("-Infinity"),
     2.345, "10", "", None, True, [10], 1e-9, 10**400],
)
def test_what_is_no_percentage_is_refused(percent: Any) -> None:
    with pytest.raises(ValueError, match="percentage is"):
        inside("task", percent)


@pytest.mark.parametrize(
    ("text", "words"),
    [("", "empty"), ("x" * 1025, "1025 bytes"), ("é" * 513, "1026 bytes"), ("\udc80", "UTF-8"),
     ("a\ufffdb", "UTF-8"), (b"x", "text"), (17, "text"), (None, "text")],
)
def test_what_is_no_id_is_refused(text: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        bucket(text)
    with pytest.raises(ValueError, match=words):
        inside(text, 100)


def test_an_id_of_exactly_the_limit_is_one() -> None:
    assert 0 <= bucket("x" * 1024) < 10_000
