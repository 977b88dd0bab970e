# SPDX-License-Identifier: Apache-2.0
"""What the operator decides, and no model."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """Which profiles the tools run by, and what they may reach."""

    profile_code: str = "code"
    profile_shell: str = "shell"
    profile_browser: str = "browser"
    #: Places, as host:port, that `browse` may reach.
    allow: tuple[str, ...] = ()
