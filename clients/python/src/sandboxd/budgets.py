# SPDX-License-Identifier: Apache-2.0
"""Budgets: what may be used, is used, and is reserved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypedDict

from .fields import Fields, Raw


class BudgetSettings(TypedDict, total=False):
    """What a budget can be set to. A cap of None does not hold; what is left out stays."""

    cpu_ms_cap: int | None
    memory_mib_s_cap: int | None
    wall_ms_cap: int | None
    runs_cap: int | None
    egress_bytes_cap: int | None
    money_nanos_cap: int | None
    #: Prices are in billionths of whatever the operator counts in.
    price_cpu_s: int
    price_memory_gib_s: int
    price_run: int
    price_egress_gib: int
    #: `day`, `month` or `total`.
    period: str
    #: `hold` or `reject`.
    on_exhausted: str
    paused: bool
    #: `never`, `required`, or `egress`: which attempts wait for a person's word.
    approval: str
    #: Attempts that may cost more than this wait for one; None is never.
    approval_above_nanos: int | None


@dataclass(frozen=True)
class BudgetUnit:
    """One of the things that a budget counts."""

    #: None is no cap.
    cap: int | None
    used: int
    reserved: int

    @property
    def left(self) -> int | None:
        """What can still be reserved; None without a cap."""
        return None if self.cap is None else self.cap - self.used - self.reserved


@dataclass(frozen=True)
class Budget:
    """A budget as it is now."""

    name: str
    period: str
    period_began: str | None
    on_exhausted: str
    paused: bool
    prices: Mapping[str, int]
    #: By name: `cpu_ms`, `memory_mib_s`, `wall_ms`, `runs`, `egress_bytes`, `money_nanos`.
    units: Mapping[str, BudgetUnit]
    raw: Raw = field(repr=False, compare=False)


def read_budget(fields: Fields) -> Budget:
    """Reads a budget."""
    units, prices = fields.member("units"), fields.member("prices")
    return Budget(
        name=fields.text("budget"),
        period=fields.text("period", "total"),
        period_began=fields.optional_text("period_began"),
        on_exhausted=fields.text("on_exhausted", "hold"),
        paused=fields.flag("paused"),
        prices={name: prices.whole(name) for name in prices.raw},
        units={name: _unit(units.member(name)) for name in units.raw},
        raw=fields.raw,
    )


def _unit(fields: Fields) -> BudgetUnit:
    used, reserved = fields.whole("used"), fields.whole("reserved")
    return BudgetUnit(fields.optional_whole("cap"), used, reserved)
