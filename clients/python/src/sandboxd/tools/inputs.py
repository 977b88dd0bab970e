# SPDX-License-Identifier: Apache-2.0
"""The arguments of each tool, as a model is told of them. Nothing is converted: "5" is no 5."""

from __future__ import annotations

from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

CODE_LIMIT = 1 << 20
COMMAND_LIMIT = 100_000
URL_LIMIT = 8192

Files = dict[str, str]

_FILES = Field(None, description="Text files to put into the working directory, by relative path.")
_TIMEOUT = Field(None, gt=0, le=86_400, description="Seconds until it is ended.")


class Input(BaseModel):
    """What all tools' arguments have in common."""

    model_config = ConfigDict(strict=True, extra="forbid")


class RunCodeInput(Input):
    """A program."""

    language: Literal["python", "javascript"]
    code: str = Field(max_length=CODE_LIMIT, description="The whole program.")
    files: Files | None = _FILES
    timeout: float | None = _TIMEOUT


class RunShellInput(Input):
    """A command line."""

    command: str = Field(max_length=COMMAND_LIMIT, description="A command line for bash.")
    files: Files | None = _FILES
    timeout: float | None = _TIMEOUT


class BrowseInput(Input):
    """A look at a web page."""

    command: Literal["screenshot", "pdf", "text", "html", "links", "eval"] = Field(
        description="What to take from the page."
    )
    url: str = Field(
        max_length=URL_LIMIT,
        description="An http, https or data address, or the path of one of the files.",
    )
    script: str | None = Field(
        None, max_length=COMMAND_LIMIT, description="For eval: a JavaScript expression."
    )
    full_page: bool = Field(False, description="For screenshot: the page in its whole height.")
    wait_for: str | None = Field(
        None, max_length=1000, description="A CSS selector to wait for before looking."
    )
    timeout: float | None = Field(
        None, ge=0.1, le=110, description="Seconds that the page may take; usually 30."
    )
    files: Files | None = _FILES


InputType = TypeVar("InputType", bound=Input)


def checked(kind: type[InputType], arguments: dict[str, Any]) -> InputType:
    """Answers the arguments when they are right; raises ValueError that names what is wrong."""
    try:
        return kind.model_validate(arguments)
    except ValidationError as error:
        reasons = [
            f"'{'.'.join(str(part) for part in reason['loc'])}': {reason['msg']}"
            for reason in error.errors(include_url=False, include_context=False)[:10]
        ]
        raise ValueError("the arguments are wrong: " + "; ".join(reasons)) from None
