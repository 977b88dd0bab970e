# SPDX-License-Identifier: Apache-2.0
"""What the README shows is what happens."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from sandboxd import Sandbox

README = (Path(__file__).parent.parent / "README.md").read_text()


def blocks(language: str) -> list[str]:
    """The README's examples in a language."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_its_examples_run(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("langchain_core")
    sandbox.set_budget("team-a")
    names: dict[str, object] = {}
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), names)
    assert capsys.readouterr().out.splitlines() == [
        "ok 0 HELLO",
        "",
        "stdout one",
        "stdout two",
        "ok",
        "succeeded 42",
        "",
    ]
    assert len(names["tools"]) == 3  # type: ignore[arg-type]


def test_its_configuration_is_one() -> None:
    [block] = blocks("json")
    [server] = json.loads(block)["mcpServers"].values()
    assert server["args"][:2] == ["-m", "sandboxd.mcp"]


def test_it_names_every_method() -> None:
    methods = {name for name in vars(Sandbox) if not name.startswith("_")}
    assert {name for name in methods if f"`{name}" not in README and f".{name}(" not in README} <= {
        "artifact"
    }
