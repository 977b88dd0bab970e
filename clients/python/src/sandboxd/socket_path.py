# SPDX-License-Identifier: Apache-2.0
"""Where the daemon listens, when nobody says. The command line looks in the same places."""

from __future__ import annotations

import os

SHARED = "/var/lib/sandboxd/state/sandboxd.sock"


def standard() -> str:
    """Answers `$SANDBOXD_SOCKET`, else the system's daemon, else this user's own.

    An empty variable counts as none. Nothing says that a daemon really listens there.
    """
    named = os.environ.get("SANDBOXD_SOCKET")
    if named:
        return named
    if os.access(SHARED, os.F_OK):
        return SHARED
    home = os.environ.get("HOME") or "/tmp"
    state = os.environ.get("XDG_STATE_HOME") or home + "/.local/state"
    return state + "/sandboxd/sandboxd.sock"
