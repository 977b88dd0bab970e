# SPDX-License-Identifier: Apache-2.0
"""Tasks that wait for a person's word."""

from __future__ import annotations

from dataclasses import dataclass, field

from .fields import Fields, Raw


@dataclass(frozen=True)
class Approval:
    """A task that waits, and exactly what was asked for."""

    task_id: int
    profile: str
    budget: str
    #: The whole request, as it would run.
    spec: Raw
    #: Of the profile, the whole spec, and who pays: who decides names what was shown.
    digest: str
    #: Why it needs a word.
    needed_for: str
    asked_at: str
    expires_at: str
    raw: Raw = field(repr=False, compare=False)


def read_approval(fields: Fields) -> Approval:
    """Reads a task that waits."""
    return Approval(
        task_id=fields.whole("task_id"),
        profile=fields.text("profile"),
        budget=fields.text("budget"),
        spec=fields.member("spec").raw,
        digest=fields.text("digest"),
        needed_for=fields.text("needed_for"),
        asked_at=fields.text("asked_at"),
        expires_at=fields.text("expires_at"),
        raw=fields.raw,
    )
