# SPDX-License-Identifier: Apache-2.0
"""Which artifacts of a result are to be fetched, and what becomes of them, without any I/O."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator

from . import calls
from .call import Call
from .errors import NotSandboxd, Overrun
from .result import Result

#: What is fetched of one run's artifacts together, unless the client is told otherwise.
ARTIFACT_LIMIT = 256 << 20


class Fetching:
    """Gives a call for each content that a result names, and takes what they answer."""

    def __init__(self, result: Result, limit: int) -> None:
        total = sum({item.sha256: item.size for item in result.artifact_list}.values())
        if total > limit:
            raise Overrun(
                f"the run's artifacts are {total} bytes, and this client fetches {limit}: give "
                "Sandbox a larger artifact_limit (the result is in this error's 'result')",
                result,
            )
        for item in result.artifact_list:
            if not calls.is_digest(item.sha256):
                raise NotSandboxd(f"the artifact's name '{item.sha256[:80]}' is no digest")
        self._result = result
        self._contents: dict[str, bytes] = {}

    def calls(self) -> Iterator[tuple[str, Call[bytes]]]:
        """The calls that are to be made, each with its digest."""
        for item in self._result.artifact_list:
            if item.sha256 not in self._contents:
                yield item.sha256, calls.artifact(item.sha256, item.size)

    def take(self, sha256: str, content: bytes) -> None:
        """Takes what a call answered."""
        if hashlib.sha256(content).hexdigest() != sha256:
            raise NotSandboxd(f"what came as the artifact {sha256} has another digest")
        self._contents[sha256] = content

    def result(self) -> Result:
        """The same result with the contents."""
        contents = {item.path: self._contents[item.sha256] for item in self._result.artifact_list}
        return dataclasses.replace(self._result, artifacts=contents)
