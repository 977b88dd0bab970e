# SPDX-License-Identifier: Apache-2.0
"""What the daemon tells of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .fields import Fields, Raw


@dataclass(frozen=True)
class Profile:
    """A profile that a run can name."""

    name: str
    description: str
    image: str
    #: The engines that may run it, the preferred one first.
    engines: tuple[str, ...]
    #: By the names that requests use, such as `memory_bytes`.
    limits: Mapping[str, int]
    #: Whether its image is there.
    ready: bool
    #: Why it is not.
    reason: str | None
    raw: Raw = field(repr=False, compare=False)


@dataclass(frozen=True)
class Status:
    """What the daemon does now."""

    #: Whether new runs are let in by the native engine.
    native_ready: bool
    #: Whether runs go to a container engine; None for a daemon without one.
    docker_ready: bool | None
    #: Whether tasks are taken and budgets can pay; None for a daemon without a database.
    queue_ready: bool | None
    #: Whether the disk has room for anything new.
    disk_ready: bool
    memory_capacity_bytes: int
    memory_reserved_bytes: int
    #: How many runs go on.
    runs: int
    #: How many have ended since the start.
    finished: int
    raw: Raw = field(repr=False, compare=False)


@dataclass(frozen=True)
class Leak:
    """Something that was left behind on the daemon's node."""

    kind: str
    name: str
    raw: Raw = field(repr=False, compare=False)


def read_profile(fields: Fields) -> Profile:
    """Reads a profile."""
    limits = fields.member("limits")
    return Profile(
        name=fields.text("name"),
        description=fields.text("description"),
        image=fields.text("image"),
        engines=fields.texts("engines"),
        limits={name: limits.whole(name) for name in limits.raw},
        ready=fields.flag("ready"),
        reason=fields.optional_text("reason"),
        raw=fields.raw,
    )


def read_status(fields: Fields) -> Status:
    """Reads the daemon's state."""
    docker, queue = fields.optional_member("docker"), fields.optional_member("queue")
    memory = fields.member("memory")
    return Status(
        native_ready=fields.member("native").flag("ready"),
        docker_ready=docker.flag("ready") if docker else None,
        queue_ready=queue.flag("ready") if queue else None,
        disk_ready=fields.member("disk").flag("ready", True),
        memory_capacity_bytes=memory.whole("capacity_bytes"),
        memory_reserved_bytes=memory.whole("reserved_bytes"),
        runs=fields.whole("runs"),
        finished=fields.whole("finished"),
        raw=fields.raw,
    )


def read_leak(fields: Fields) -> Leak:
    """Reads one thing that was left behind."""
    return Leak(fields.text("kind"), fields.text("name"), fields.raw)
