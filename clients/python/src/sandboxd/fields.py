# SPDX-License-Identifier: Apache-2.0
"""Reading the daemon's JSON: unknown keys are left alone, missing ones have defaults.

A daemon that is older than this package lacks keys, one that is newer has more. A key that is there
with a value of another kind is neither: what sent it is not sandboxd.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from .errors import NotSandboxd

T = TypeVar("T")

DIGITS_LIMIT = 100


def parse(data: bytes, what: str) -> Fields:
    """Answers the JSON object in `data`."""
    try:
        value = json.loads(data.decode(), parse_int=_whole, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise NotSandboxd(f"{what} is not JSON") from None
    return Fields(value, what)


def _whole(digits: str) -> int:
    # Very long numbers take quadratic time to read.
    if len(digits) > DIGITS_LIMIT:
        raise ValueError("a number is too long")
    return int(digits)


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


class Fields:
    """One JSON object, with its members by name and kind."""

    def __init__(self, value: object, what: str) -> None:
        if not isinstance(value, dict):
            raise NotSandboxd(f"{what} is no JSON object")
        self.raw: dict[str, Any] = value
        self._what = what

    def optional_text(self, name: str) -> str | None:
        """A text; None when it is missing or null."""
        value: str | None = self._of(name, str, "a text")
        return value

    def text(self, name: str, default: str = "") -> str:
        """A text that is usually there."""
        value = self.optional_text(name)
        return default if value is None else value

    def optional_whole(self, name: str) -> int | None:
        """A whole number; None when it is missing or null."""
        value: int | None = self._of(name, int, "a whole number")
        return value

    def whole(self, name: str, default: int = 0) -> int:
        """A whole number that is usually there."""
        value = self.optional_whole(name)
        return default if value is None else value

    def number(self, name: str) -> float:
        """A number; 0 when it is missing or null."""
        value = self._of(name, (int, float), "a number")
        return 0.0 if value is None else float(value)

    def flag(self, name: str, default: bool = False) -> bool:
        """A truth value."""
        value = self._of(name, bool, "true or false")
        return default if value is None else value

    def member(self, name: str) -> Fields:
        """An object; an empty one when it is missing or null."""
        return self.optional_member(name) or Fields({}, f"{self._what}, '{name}'")

    def optional_member(self, name: str) -> Fields | None:
        """An object; None when it is missing or null."""
        value = self._of(name, dict, "an object")
        return None if value is None else Fields(value, f"{self._what}, '{name}'")

    def objects(self, name: str) -> list[Fields]:
        """A list of objects."""
        what = f"{self._what}, '{name}'"
        return [Fields(value, what) for value in self._of(name, list, "a list") or []]

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts."""
        values = self._of(name, list, "a list") or []
        if not all(isinstance(value, str) for value in values):
            raise NotSandboxd(f"{self._what}: '{name}' is no list of texts")
        return tuple(values)

    def base64(self, name: str) -> bytes:
        """Bytes that the daemon gives in base64."""
        return self._decoded(name, self.text(name))

    def encoded(self, name: str) -> bytes:
        """Bytes that the daemon gives as text or in base64, as `…_encoding` says."""
        text = self.text(name)
        if self.text(name + "_encoding", "utf-8") == "base64":
            return self._decoded(name, text)
        # JSON can name half of a surrogate pair, which no bytes are.
        return text.encode("utf-8", "replace")

    def list_of(self, name: str, read: Callable[[Fields], T]) -> tuple[T, ...]:
        """A list of objects, each read by `read`."""
        return tuple(read(fields) for fields in self.objects(name))

    def _decoded(self, name: str, text: str) -> bytes:
        try:
            return base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            raise NotSandboxd(f"{self._what}: '{name}' is no base64") from None

    def _of(self, name: str, kind: Any, word: str) -> Any:
        value = self.raw.get(name)
        if value is None:
            return None
        # True is an int in Python, and none in JSON.
        if not isinstance(value, kind) or isinstance(value, bool) and kind is not bool:
            raise NotSandboxd(f"{self._what}: '{name}' is not {word}")
        return value


Raw = Mapping[str, Any]
