# SPDX-License-Identifier: Apache-2.0
"""Asking the same of both clients."""

from __future__ import annotations

import asyncio
from typing import Any

from sandboxd import AsyncSandbox, Sandbox

CLIENTS = ("sync", "async")


class Asker:
    """One of the two clients, asked as if it waited."""

    def __init__(self, kind: str, socket: str, **options: Any) -> None:
        self._kind = kind
        self._sync = Sandbox(socket, **options)
        self._async = AsyncSandbox(socket, **options)

    def ask(self, name: str, *arguments: Any, **options: Any) -> Any:
        """Calls a method, and answers its value."""
        if self._kind == "sync":
            return getattr(self._sync, name)(*arguments, **options)

        async def ask() -> Any:
            return await getattr(self._async, name)(*arguments, **options)

        return asyncio.run(ask())

    def events(self, name: str, *arguments: Any, **options: Any) -> list[Any]:
        """Calls a method that streams, and answers all its events."""
        if self._kind == "sync":
            return list(getattr(self._sync, name)(*arguments, **options))

        async def ask() -> list[Any]:
            return [event async for event in getattr(self._async, name)(*arguments, **options)]

        return asyncio.run(ask())
