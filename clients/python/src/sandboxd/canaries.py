# SPDX-License-Identifier: Apache-2.0
"""Canaries: which share of a profile's tasks goes to sandboxes."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import TypedDict

from .errors import NotSandboxd
from .fields import Fields, Raw


class CanarySettings(TypedDict, total=False):
    """What a canary can be set to; what is left out stays."""

    #: 0 to 100, with at most two digits behind the point; so for `bound_percent`.
    percent: float | str
    #: Whether tasks of the host are run in a sandbox too, beside it, and compared.
    shadow: bool
    #: When more than this share of the last `bound_runs` begun since it was set goes wrong, the
    #: percentage becomes 0 by itself; None is never.
    bound_percent: float | str | None
    bound_runs: int


@dataclass(frozen=True)
class Canary:
    """A profile's canary as it is now; one that was never set has 100 percent."""

    profile: str
    #: The others go to the pool `host`.
    percent: Decimal
    shadow: bool
    bound_percent: Decimal | None
    bound_runs: int | None
    #: Why the percentage became 0 by itself; None when it did not.
    tripped_why: str | None
    raw: Raw = field(repr=False, compare=False)


def read_canary(fields: Fields) -> Canary:
    """Reads a canary."""
    bound = fields.optional_text("bound_percent")
    return Canary(
        profile=fields.text("profile"),
        percent=_percent(fields.text("percent", "100")),
        shadow=fields.flag("shadow"),
        bound_percent=None if bound is None else _percent(bound),
        bound_runs=fields.optional_whole("bound_runs"),
        tripped_why=fields.optional_text("tripped_why"),
        raw=fields.raw,
    )


def _percent(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise NotSandboxd(f"a canary's percentage is '{text[:40]}'") from None
