# SPDX-License-Identifier: Apache-2.0
"""Results as text for a model, and which artifacts are pictures."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("pydantic")

from sandboxd.fields import Fields
from sandboxd.result import Result, read_result
from sandboxd.tools.inputs import BrowseInput, RunCodeInput, checked
from sandboxd.tools.jobs import browse
from sandboxd.tools.pictures import PICTURE_COUNT_LIMIT, PICTURE_LIMIT, pictures
from sandboxd.tools.report import clip, describe
from sandboxd.tools.settings import Settings

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20


def result(**raw: Any) -> Result:
    """A result of this report."""
    return read_result(Fields({"verdict": "ok", **raw}, "a report"))


def test_text_is_cut_in_the_middle() -> None:
    assert clip("x" * 10, 10) == "x" * 10
    assert clip("abcdefghijk", 10) == "abcde\n[... 1 letters left out ...]\nghijk"
    assert clip("abcdefghijk", 3) == "ab\n[... 8 letters left out ...]\nk"
    assert clip("abc", 1) == "a\n[... 2 letters left out ...]\n"


def test_a_report_has_what_there_is() -> None:
    text = describe(
        result(
            verdict="oom",
            signal=9,
            evidence={"memory_limit_bytes": 5},
            stdout="out",
            stderr="err",
            usage={"wall_ms": 12.3},
            artifacts=[{"path": "a\nb\x1b", "bytes": 3, "sha256": "0" * 64}],
            artifacts_refused=[{"path": "link", "reason": "symlink"}],
            network=[
                {"place": "a.example:443", "allowed": False, "reason": "not allowed"},
                {"place": "b.example:443", "allowed": True},
            ],
        )
    )
    assert text.splitlines() == [
        "verdict: oom, signal 9, memory_limit_bytes 5, after 12 ms",
        "stdout:",
        "out",
        "stderr:",
        "err",
        f"file: a\ufffdb\ufffd, 3 bytes, sha256 {'0' * 64}",
        "file not kept: link (symlink)",
        "not reached: a.example:443 (not allowed)",
    ]


def test_a_report_has_an_end() -> None:
    files = [{"path": "x" * 5000, "bytes": 1, "sha256": "0" * 64}] * 500
    places = [{"place": "y" * 5000, "allowed": False, "reason": "no"}] * 256
    everything = result(
        stdout="x" * 10**6, stderr="y" * 10**6, artifacts=files, artifacts_refused=files,
        network=places, evidence={"reason": "z" * 10**6}, verdict="engine_error",
    )
    assert len(describe(everything)) < 120_000


def test_a_picture_is_what_its_name_says() -> None:
    found = pictures(
        {
            "a.png": PNG,
            "b.PNG": PNG,
            "c.png": b"<svg onload=alert(1)>",
            "d.txt": PNG,
            "png": PNG,
            "e.jpg": b"\xff\xd8\xff\xe0",
            "f.jpeg": PNG,
            "g.gif": b"GIF89a",
            "h.webp": b"RIFF\0\0\0\0WEBPVP8 ",
            "i.webp": b"RIFF\0\0\0\0WAVE",
            "empty.png": b"",
        }
    )
    assert [(name, kind) for name, kind, _ in found] == [
        ("a.png", "image/png"), ("b.PNG", "image/png"), ("e.jpg", "image/jpeg"),
        ("g.gif", "image/gif"), ("h.webp", "image/webp"),
    ]


def test_pictures_are_few_and_not_large() -> None:
    many = {f"{number}.png": PNG for number in range(PICTURE_COUNT_LIMIT + 5)}
    assert len(pictures(many)) == PICTURE_COUNT_LIMIT
    assert pictures({"large.png": PNG.ljust(PICTURE_LIMIT + 1)}) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "'language': Field required; 'code': Field required"),
        ({"language": "python", "code": 5}, "'code': Input should be a valid string"),
        ({"language": "python", "code": "x", "timeout": "5"}, "'timeout': Input should be a valid"),
        ({"language": "python", "code": "x", "timeout": True}, "'timeout'"),
        ({"language": "python", "code": "x", "timeout": -1}, "greater than 0"),
        ({"language": "python", "code": "x", "files": {"a": 1}}, "'files.a'"),
        ({"language": "python", "code": "x", "privileged": True}, "'privileged': Extra inputs"),
        ({"language": "python", "code": "x" * (1 << 21)}, "'code': String should have at most"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match="the arguments are wrong") as raised:
        checked(RunCodeInput, arguments)
    assert words in str(raised.value) and len(str(raised.value)) < 1000


def test_no_argument_of_a_model_s_becomes_an_option() -> None:
    asked = checked(
        BrowseInput,
        {"command": "eval", "url": "a.html", "script": "--out=x", "wait_for": "--width=1"},
    )
    job = browse(asked, Settings(allow=("a.example:443",)))
    assert job.argv == ["browse", "eval", "--wait-for=--width=1", "a.html", " --out=x"]
    assert job.options == {"allow": ("a.example:443",)}
