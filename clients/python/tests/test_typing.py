# SPDX-License-Identifier: Apache-2.0
"""The package's types, its wheel, and its promise to need nothing but the standard library."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
EXAMPLE = Path(os.environ.get("SANDBOXD_EXAMPLES", PROJECT.parent.parent / "examples")) / "worker"


def mypy(*arguments: str, cache: Path) -> None:
    """Checks strictly, and fails with what was found."""
    pytest.importorskip("mypy")
    ended = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(cache), *arguments],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        env={**os.environ, "MYPYPATH": f"{PROJECT / 'src'}:{EXAMPLE}"},
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_package_is_strictly_typed(tmp_path: Path) -> None:
    mypy("-p", "sandboxd", cache=tmp_path)


def test_the_package_is_strictly_typed_for_the_oldest_python(tmp_path: Path) -> None:
    # Without the extras, whose own packages may be newer than that.
    skipped = ("--exclude", "langchain|mcp/|tools/", "--python-version", "3.10")
    mypy(*skipped, "src/sandboxd", cache=tmp_path)


def test_the_example_is_strictly_typed(tmp_path: Path) -> None:
    mypy(str(EXAMPLE / "worker.py"), cache=tmp_path)


def test_it_needs_nothing_but_the_standard_library() -> None:
    program = (
        "import sys\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "import sandboxd, sandboxd.canary\n"
        "known = set(sys.stdlib_module_names) | {'sandboxd', '__main__'}\n"
        "print({name.partition('.')[0] for name in sys.modules} - known)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, str(PROJECT / "src")],
        capture_output=True,
        text=True,
    )
    assert ended.stdout == "set()\n", ended.stdout + ended.stderr


def test_the_wheel_has_everything(tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "--no-index",
         "--quiet", "--wheel-dir", str(tmp_path), str(PROJECT)],
        check=True,
    )
    [wheel] = tmp_path.glob("sandboxd-*-py3-none-any.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {
        str(path.relative_to(PROJECT / "src"))
        for path in (PROJECT / "src").rglob("*")
        if path.suffix == ".py" or path.name == "py.typed"
    }
    assert modules <= names and "sandboxd/py.typed" in names


def test_every_file_has_its_license_first() -> None:
    for path in [*PROJECT.rglob("*.py"), *EXAMPLE.rglob("*.py"), PROJECT / "pyproject.toml"]:
        text = path.read_text()
        assert text.startswith("# SPDX-License-Identifier: Apache-2.0\n"), path
        assert max(map(len, text.splitlines())) <= 100, path
