# SPDX-License-Identifier: Apache-2.0
"""Which tasks go to the sandbox, by a percentage: the same rule as `sandboxd run --canary`.

A task's id falls into one of 10,000 buckets for ever, so that a larger percentage only adds ids.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal

BUCKETS = 10_000
ID_LIMIT = 1024


def bucket(id: str) -> int:
    """Answers the bucket of a task's id: 0 to 9999.

    It is the first eight bytes of the SHA-256 of the id's UTF-8, as a number, most significant byte
    first, modulo 10,000. Raises ValueError for what is no id.
    """
    digest = hashlib.sha256(_encoded(id)).digest()
    return int.from_bytes(digest[:8], "big") % BUCKETS


def inside(id: str, percent: float | Decimal) -> bool:
    """Says whether the task of this id goes to the sandbox at this percentage.

    A percentage is a number from 0 to 100 with at most two digits behind the point; anything else
    is a ValueError.
    """
    return bucket(id) < _hundredths(percent)


def _encoded(id: str) -> bytes:
    if not isinstance(id, str):
        raise ValueError(f"a task's id is a text, not {type(id).__name__}")
    try:
        data = id.encode()
    except UnicodeEncodeError:
        raise ValueError("the task's id is not UTF-8: every system must read the same id") from None
    if not data:
        raise ValueError("the task's id is empty: give the task's own id")
    if len(data) > ID_LIMIT:
        raise ValueError(f"the task's id has {len(data)} bytes, and {ID_LIMIT} fit")
    # What stands for bytes that were no UTF-8: many ids would be one.
    if "\ufffd" in id:
        raise ValueError("the task's id is not UTF-8: every system must read the same id")
    return data


def _hundredths(percent: float | Decimal) -> int:
    # True is an int, and means something else.
    if isinstance(percent, bool) or not isinstance(percent, (int, float, Decimal)):
        raise ValueError(f"the percentage is {percent!r:.40}: give a number from 0 to 100")
    exact = percent if isinstance(percent, Decimal) else Decimal(repr(percent))
    # Not a number compares with nothing, so it is asked for first.
    if not exact.is_finite() or not 0 <= exact <= 100:
        raise ValueError(f"the percentage is {percent}: give a number from 0 to 100")
    hundredths = exact * 100
    if hundredths != int(hundredths):
        raise ValueError(f"the percentage is {percent}: give at most two digits behind the point")
    return int(hundredths)
