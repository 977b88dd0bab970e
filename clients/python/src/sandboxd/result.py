# SPDX-License-Identifier: Apache-2.0
"""What became of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .errors import RunFailed
from .fields import Fields, Raw
from .measures import Receipt, Timing, Usage
from .saving import save


class Output(bytes):
    """What was kept of a stream: bytes, and the same as text."""

    @property
    def text(self) -> str:
        """The bytes as UTF-8; what is none of it becomes U+FFFD."""
        return self.decode("utf-8", "replace")


@dataclass(frozen=True)
class Artifact:
    """A file that the run left in /workspace/out. Its content has a name of its own, `sha256`."""

    #: Below /workspace/out. Bytes that are no UTF-8 are surrogate escapes, as os.fsdecode has them.
    path: str
    size: int
    mode: int
    sha256: str
    raw: Raw = field(repr=False, compare=False, default_factory=dict)


@dataclass(frozen=True)
class RefusedArtifact:
    """A file that was not kept, and the reason in a word."""

    path: str
    reason: str
    raw: Raw = field(repr=False, compare=False, default_factory=dict)


@dataclass(frozen=True)
class Reached:
    """A place that the run reached by the proxy, or tried to."""

    #: host:port.
    place: str
    allowed: bool
    #: The rule that allowed it.
    rule: str | None
    #: Why it was not allowed.
    reason: str | None
    #: The kind of that reason: no_rule (a rule of the profile would help), address, malformed,
    #: unresolved, unconnected, insecure, late, echo, exhausted, crowded.
    cause: str | None
    count: int
    sent_bytes: int
    received_bytes: int
    raw: Raw = field(repr=False, compare=False, default_factory=dict)


@dataclass(frozen=True)
class SeenCall:
    """A system call of the job's, told of when the request said `explain`."""

    name: str
    number: int
    #: What it was refused with; None when it was let through.
    errno: str | None
    #: The arguments that decided, as arg0 to arg5.
    arguments: Mapping[str, int]
    #: The short name of the program that made it, which it can choose.
    program: str
    count: int
    raw: Raw = field(repr=False, compare=False, default_factory=dict)


@dataclass(frozen=True)
class Result:
    """The daemon's report of a run. Only `artifacts` is not part of it: it holds the contents."""

    #: `ok`, `exit`, `signal`, `oom`, `wall_time`, …: a word that this package need not know.
    verdict: str
    #: The command's own, for `ok` and `exit`.
    exit_code: int | None
    signal: int | None
    stdout: Output
    stderr: Output
    stdout_truncated: bool
    stderr_truncated: bool
    #: The contents of the files that the run left, by path; empty when they were not fetched.
    artifacts: Mapping[str, bytes] = field(repr=False)
    artifact_list: tuple[Artifact, ...]
    artifacts_refused: tuple[RefusedArtifact, ...]
    #: The counters and limits that prove the verdict, by name.
    evidence: Mapping[str, int | str]
    usage: Usage
    timing: Timing
    receipt: Receipt
    network: tuple[Reached, ...]
    #: System calls, when the request said `explain`.
    calls: tuple[SeenCall, ...]
    attempt_id: str
    profile: str
    engine: str
    image_digest: str
    #: The report as the daemon wrote it, with whatever this package does not know.
    raw: Raw = field(repr=False, compare=False)

    @property
    def ok(self) -> bool:
        """Whether the verdict is ok."""
        return self.verdict == "ok"

    def check(self) -> Result:
        """Answers this result when its verdict is ok, and raises RunFailed when it is not."""
        if not self.ok:
            raise RunFailed(_failure(self), self)
        return self

    def save(self, directory: str | Path) -> list[Path]:
        """Puts the artifacts into a directory, and answers their paths; see `saving.save`."""
        return save(self.artifacts, Path(directory))


def read_result(fields: Fields) -> Result:
    """Reads a report."""
    evidence: dict[str, int | str] = dict(fields.member("evidence").raw)
    verdict = fields.optional_text("verdict")
    if verdict is None:
        # What could not even begin has a reason instead of a report.
        verdict = "engine_error"
        evidence.setdefault("reason", fields.member("error").text("message", "unknown"))
    return Result(
        verdict=verdict,
        exit_code=fields.optional_whole("exit_code"),
        signal=fields.optional_whole("signal"),
        stdout=Output(fields.encoded("stdout")),
        stderr=Output(fields.encoded("stderr")),
        stdout_truncated=fields.flag("stdout_truncated"),
        stderr_truncated=fields.flag("stderr_truncated"),
        artifacts={},
        artifact_list=fields.list_of("artifacts", _artifact),
        artifacts_refused=fields.list_of("artifacts_refused", _refused),
        evidence=evidence,
        usage=Usage.read(fields.member("usage")),
        timing=Timing.read(fields.member("timing")),
        receipt=Receipt.read(fields.member("receipt")),
        network=fields.list_of("network", _reached),
        calls=fields.list_of("calls", _call),
        attempt_id=fields.text("attempt_id"),
        profile=fields.text("profile"),
        engine=fields.text("engine"),
        image_digest=fields.text("image_digest"),
        raw=fields.raw,
    )


def _path(fields: Fields) -> str:
    return fields.encoded("path").decode("utf-8", "surrogateescape")


def _artifact(fields: Fields) -> Artifact:
    size, mode = fields.whole("bytes"), fields.whole("mode", 0o644)
    return Artifact(_path(fields), size, mode, fields.text("sha256"), fields.raw)


def _refused(fields: Fields) -> RefusedArtifact:
    return RefusedArtifact(_path(fields), fields.text("reason"), fields.raw)


def _reached(fields: Fields) -> Reached:
    return Reached(
        place=fields.text("place"),
        allowed=fields.flag("allowed"),
        rule=fields.optional_text("rule"),
        reason=fields.optional_text("reason"),
        cause=fields.optional_text("cause"),
        count=fields.whole("count"),
        sent_bytes=fields.whole("sent_bytes"),
        received_bytes=fields.whole("received_bytes"),
        raw=fields.raw,
    )


def _call(fields: Fields) -> SeenCall:
    arguments = fields.member("arguments")
    return SeenCall(
        name=fields.text("name"),
        number=fields.whole("number"),
        errno=fields.optional_text("errno"),
        arguments={name: arguments.whole(name) for name in arguments.raw},
        program=fields.text("program"),
        count=fields.whole("count"),
        raw=fields.raw,
    )


def _failure(result: Result) -> str:
    words = [f"the run's verdict is {result.verdict}"]
    if result.exit_code:
        words.append(f"exit status {result.exit_code}")
    if result.signal:
        words.append(f"signal {result.signal}")
    words += [f"{name} {value}" for name, value in result.evidence.items()]
    last = result.stderr.text[-400:].strip().splitlines()[-3:]
    if last:
        words.append("its standard error ends: " + " | ".join(last))
    return ", ".join(words)
