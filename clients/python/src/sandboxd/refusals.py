# SPDX-License-Identifier: Apache-2.0
"""The daemon's refusals as exceptions."""

from __future__ import annotations

import re

from .errors import Answered, Busy, NotSandboxd, RequestRefused, Unavailable
from .fields import Fields, parse
from .http11 import Head

_FIELD = re.compile(r"'([A-Za-z0-9_.\[\]]{1,100})'")
_SECONDS = re.compile(r"[0-9]{1,9}")
LONGEST_MESSAGE = 10_000


def refusal(head: Head, body: bytes) -> Answered:
    """Answers the exception for an answer with an error's status."""
    error = _error(body)
    if error is None:
        message = f"the daemon answered with status {head.status}"
        code, field = "", None
    else:
        message = error.text("message", f"status {head.status}")[:LONGEST_MESSAGE]
        code, field = error.text("code"), error.optional_text("field") or _field(message)
    after = head.headers.get("retry-after", "")
    retry_after = float(after) if _SECONDS.fullmatch(after) else None
    kind: type[Answered] = RequestRefused
    if head.status == 429 or head.status == 503 and retry_after is not None:
        kind = Busy
    elif head.status >= 500:
        kind = Unavailable
    return kind(message, status=head.status, code=code, field=field, retry_after=retry_after)


def _error(body: bytes) -> Fields | None:
    try:
        return parse(body, "an error").optional_member("error")
    except NotSandboxd:
        # Somebody between us and the daemon, or a server that never came to its routes.
        return None


def _field(message: str) -> str | None:
    """The key that a message begins with: it names what is at fault."""
    found = _FIELD.match(message)
    return found[1] if found else None
