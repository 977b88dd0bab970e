# SPDX-License-Identifier: Apache-2.0
"""Which artifacts are pictures: those that are what their name says."""

from __future__ import annotations

from collections.abc import Mapping

PICTURE_LIMIT = 5 << 20
PICTURE_COUNT_LIMIT = 8

_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
}


def pictures(artifacts: Mapping[str, bytes]) -> list[tuple[str, str, bytes]]:
    """Answers name, media type and content of each picture that is worth showing.

    One that is too large, or beyond the first few, is not; it is still among the files.
    """
    found = []
    for name, content in artifacts.items():
        kind = media_type(name, content)
        if kind is not None and len(content) <= PICTURE_LIMIT:
            found.append((name, kind, content))
    return found[:PICTURE_COUNT_LIMIT]


def media_type(name: str, content: bytes) -> str | None:
    """Answers the type that name and content agree on; None when they do not."""
    _, dot, extension = name.rpartition(".")
    named = _TYPES.get(extension.lower()) if dot else None
    return named if named is not None and named == _actual(content) else None


def _actual(content: bytes) -> str | None:
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return "image/webp"
    return None
