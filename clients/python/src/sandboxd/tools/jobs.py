# SPDX-License-Identifier: Apache-2.0
"""A tool's arguments as a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..request import DirectOptions
from .inputs import BrowseInput, Input, RunCodeInput, RunShellInput
from .settings import Settings

#: The program's file and its interpreter, by language.
_PROGRAMS = {"python": ("main.py", "python3"), "javascript": ("main.js", "node")}
#: What `browse` leaves that is to be read, by its command.
_READ = {"text": "page.txt", "html": "page.html", "links": "links.json", "eval": "eval.json"}


@dataclass(frozen=True)
class Job:
    """A run that a tool asks for."""

    profile: str
    argv: list[str]
    options: DirectOptions = field(default_factory=DirectOptions)
    #: An artifact whose text is the answer.
    shown: str | None = None


@dataclass(frozen=True)
class Tool:
    """A tool: its name, what a model is told of it, and how its arguments become a run."""

    name: str
    description: str
    input: type[Input]
    job: Callable[[Any, Settings], Job]


def run_code(asked: RunCodeInput, settings: Settings) -> Job:
    """A program in a file of its own, so that its errors have line numbers."""
    name, interpreter = _PROGRAMS[asked.language]
    files = dict(asked.files or {})
    if name in files:
        raise ValueError(f"'files' has {name}, which is where the code goes: name it otherwise")
    files[name] = asked.code
    return Job(settings.profile_code, [interpreter, name], _options(files, asked.timeout))


def run_shell(asked: RunShellInput, settings: Settings) -> Job:
    """A command line of bash."""
    options = _options(asked.files, asked.timeout)
    return Job(settings.profile_shell, ["bash", "-c", asked.command], options)


def browse(asked: BrowseInput, settings: Settings) -> Job:
    """A command of the browser image's tool `browse`."""
    if asked.url.startswith("-"):
        raise ValueError("'url' begins with '-', and no address does")
    if (asked.script is not None) != (asked.command == "eval"):
        raise ValueError("'script' goes with the command eval, and eval needs it")
    argv = ["browse", asked.command]
    if asked.timeout is not None:
        argv.append(f"--timeout={asked.timeout}")
    if asked.wait_for is not None:
        argv.append(f"--wait-for={asked.wait_for}")
    if asked.full_page and asked.command == "screenshot":
        argv.append("--full-page")
    argv.append(asked.url)
    if asked.script is not None:
        # A blank changes nothing of an expression, and -x is no option of the tool's then.
        argv.append(" " + asked.script)
    options = _options(asked.files, None)
    if settings.allow:
        options["allow"] = settings.allow
    return Job(settings.profile_browser, argv, options, _READ.get(asked.command))


def _options(files: Mapping[str, str] | None, timeout: float | None) -> DirectOptions:
    options = DirectOptions()
    if files:
        options["files"] = dict(files)
    if timeout is not None:
        options["timeout"] = timeout
    return options


TOOLS = (
    Tool(
        "run_code",
        "Runs a Python or JavaScript program in a fresh sandbox without network, which is "
        "destroyed afterwards. What it prints is answered. Files that it writes to /workspace/out "
        "are kept; nothing else is. Python has numpy, pandas and matplotlib.",
        RunCodeInput,
        run_code,
    ),
    Tool(
        "run_shell",
        "Runs a bash command line with the usual Unix tools in a fresh sandbox without network, "
        "which is destroyed afterwards. What it prints is answered. Files that it writes to "
        "/workspace/out are kept; nothing else is.",
        RunShellInput,
        run_shell,
    ),
    Tool(
        "browse",
        "Opens one web page in a headless browser in a fresh sandbox, and answers a screenshot, a "
        "PDF, its text, its HTML, its links, or the value of a JavaScript expression. It reaches "
        "only the places that the operator allows, and files that are given along.",
        BrowseInput,
        browse,
    ),
)
