# SPDX-License-Identifier: Apache-2.0
"""What a run used, how long it took, and the proof that nothing of it is left."""

from __future__ import annotations

from dataclasses import dataclass, field

from .fields import Fields, Raw


@dataclass(frozen=True)
class Usage:
    """What a run used, as the kernel counted it."""

    cpu_ms: float
    cpu_user_ms: float
    cpu_system_ms: float
    #: None where the kernel does not keep it; so for `pids_peak`.
    memory_peak_bytes: int | None
    pids_peak: int | None
    wall_ms: float
    output_kept_bytes: int
    output_dropped_bytes: int
    workspace_bytes: int
    workspace_inodes: int
    egress_bytes: int
    raw: Raw = field(repr=False, compare=False)

    @classmethod
    def read(cls, fields: Fields) -> Usage:
        """Reads it from a report."""
        return cls(
            cpu_ms=fields.number("cpu_ms"),
            cpu_user_ms=fields.number("cpu_user_ms"),
            cpu_system_ms=fields.number("cpu_system_ms"),
            memory_peak_bytes=fields.optional_whole("memory_peak_bytes"),
            pids_peak=fields.optional_whole("pids_peak"),
            wall_ms=fields.number("wall_ms"),
            output_kept_bytes=fields.whole("output_kept_bytes"),
            output_dropped_bytes=fields.whole("output_dropped_bytes"),
            workspace_bytes=fields.whole("workspace_bytes"),
            workspace_inodes=fields.whole("workspace_inodes"),
            egress_bytes=fields.whole("egress_bytes"),
            raw=fields.raw,
        )


@dataclass(frozen=True)
class Timing:
    """Milliseconds; the first three add up to the last."""

    setup_ms: float
    run_ms: float
    teardown_ms: float
    total_ms: float
    raw: Raw = field(repr=False, compare=False)

    @classmethod
    def read(cls, fields: Fields) -> Timing:
        """Reads it from a report."""
        return cls(
            setup_ms=fields.number("setup"),
            run_ms=fields.number("run"),
            teardown_ms=fields.number("teardown"),
            total_ms=fields.number("total"),
            raw=fields.raw,
        )


@dataclass(frozen=True)
class Receipt:
    """The proof of the teardown. A report without one proves nothing."""

    clean: bool
    init_dead: bool
    processes_left: int | None
    cgroup_removed: bool
    namespaces_released: bool
    #: Whether the container engine no longer knows it; None without one.
    container_removed: bool | None
    problems: tuple[str, ...]
    raw: Raw = field(repr=False, compare=False)

    @classmethod
    def read(cls, fields: Fields) -> Receipt:
        """Reads it from a report."""
        removed = fields.flag("container_removed") if "container_removed" in fields.raw else None
        return cls(
            clean=fields.flag("clean"),
            init_dead=fields.flag("init_dead"),
            processes_left=fields.optional_whole("processes_left"),
            cgroup_removed=fields.flag("cgroup_removed"),
            namespaces_released=fields.flag("namespaces_released"),
            container_removed=removed,
            problems=fields.texts("problems"),
            raw=fields.raw,
        )
