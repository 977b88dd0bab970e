# SPDX-License-Identifier: Apache-2.0
"""A result as text for a model: what it needs to go on, and never more than a limit."""

from __future__ import annotations

from ..result import Result

#: Letters of each stream, and of an artifact that is shown.
TEXT_LIMIT = 16_000
LINES_LIMIT = 40
NAME_LIMIT = 300


def describe(result: Result, shown: str | None = None, limit: int = TEXT_LIMIT) -> str:
    """Answers the verdict, the output, the artifact `shown`, and what else was left or refused."""
    parts = [_headline(result)]
    for name, output in (("stdout", result.stdout), ("stderr", result.stderr)):
        if output:
            parts.append(f"{name}:\n{clip(output.text, limit)}")
    content = result.artifacts.get(shown) if shown is not None else None
    if content is not None:
        parts.append(f"{shown}:\n{clip(content.decode('utf-8', 'replace'), limit)}")
    parts += _few(
        [
            f"file: {_name(item.path)}, {item.size} bytes, sha256 {item.sha256}"
            for item in result.artifact_list
        ]
    )
    parts += _few(
        [f"file not kept: {_name(item.path)} ({item.reason})" for item in result.artifacts_refused]
    )
    parts += _few(
        [
            f"not reached: {_name(place.place)} ({place.reason})"
            for place in result.network
            if not place.allowed
        ]
    )
    return "\n".join(parts)


def clip(text: str, limit: int) -> str:
    """Answers the text, or its beginning and its end with a line between that says what is missing.

    The answer has `limit` letters of the text at most, and that line.
    """
    if len(text) <= limit:
        return text
    head, tail = limit - limit // 2, limit // 2
    missing = len(text) - head - tail
    return f"{text[:head]}\n[... {missing} letters left out ...]\n{text[len(text) - tail :]}"


def _headline(result: Result) -> str:
    words = [f"verdict: {result.verdict}"]
    if result.exit_code:
        words.append(f"exit status {result.exit_code}")
    if result.signal:
        words.append(f"signal {result.signal}")
    if result.verdict not in ("ok", "exit"):
        words += [f"{name} {str(value)[:NAME_LIMIT]}" for name, value in result.evidence.items()]
    words.append(f"after {result.usage.wall_ms:.0f} ms")
    return ", ".join(words)


def _few(lines: list[str]) -> list[str]:
    if len(lines) <= LINES_LIMIT:
        return lines
    return [*lines[:LINES_LIMIT], f"[... {len(lines) - LINES_LIMIT} more such lines ...]"]


def _name(name: str) -> str:
    """A name from a sandbox, on one line and of one kind of letters only: those that print."""
    shown = "".join(letter if letter.isprintable() else "\ufffd" for letter in name)
    return clip(shown, NAME_LIMIT).replace("\n", " ")
