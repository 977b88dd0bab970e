# SPDX-License-Identifier: Apache-2.0
"""What the daemon and its helpers hold, seen from outside."""

import dataclasses
import os

from processes import as_root


@dataclasses.dataclass
class Footprint:
    """Counts over the daemon and everything that it started."""

    rss_bytes: int
    descriptors: int
    threads: int
    cgroups: int
    mounts: int


def measure(daemon):
    """The footprint now. Sandboxes that are alive count, so measure when none is."""
    with as_root():
        family = [daemon, *descendants(daemon)]
        return Footprint(
            rss_bytes=sum(_rss_bytes(pid) for pid in family),
            descriptors=sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in family),
            threads=sum(len(os.listdir(f"/proc/{pid}/task")) for pid in family),
            cgroups=_cgroups(daemon),
            mounts=_mounts([os.getpid(), *family]),
        )


def cpu_milliseconds(daemon):
    """The processor time that the threads which are alive have had, ever."""
    with as_root():
        nanoseconds = 0
        for pid in [daemon, *descendants(daemon)]:
            for thread in os.listdir(f"/proc/{pid}/task"):
                text = _read(f"/proc/{pid}/task/{thread}/schedstat")
                nanoseconds += int(text.split()[0])
        return nanoseconds / 1e6


def descendants(pid):
    """Every process below this one. One that ends meanwhile is left out."""
    found = []
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except FileNotFoundError:
        return found
    for thread in threads:
        for child in _read(f"/proc/{pid}/task/{thread}/children").split():
            found += [int(child), *descendants(int(child))]
    return found


def jobs(daemon, name):
    """How many programs of this name run below the daemon."""
    with as_root():
        return sum(_read(f"/proc/{pid}/comm").strip() == name for pid in descendants(daemon))


def _rss_bytes(pid):
    # Not VmRSS of `status`: the kernel sums that one up lazily, and it is off by megabytes.
    for line in _read(f"/proc/{pid}/smaps_rollup").splitlines():
        if line.startswith("Rss:"):
            return int(line.split()[1]) << 10
    return 0


def _cgroups(daemon):
    """Directories below those that the daemon holds open, themselves included."""
    roots = set()
    for fd in os.listdir(f"/proc/{daemon}/fd"):
        try:
            target = os.readlink(f"/proc/{daemon}/fd/{fd}")
        except FileNotFoundError:
            continue
        if target.startswith("/sys/fs/cgroup/") and os.path.isdir(target):
            roots.add(target)
    found = set()
    for root in roots:
        found.update(path for path, _, _ in os.walk(root))
    return len(found)


def _mounts(pids):
    """Mounts of the machine and of each mount namespace that is in use."""
    namespaces = {os.readlink(f"/proc/{pid}/ns/mnt"): pid for pid in pids}
    return sum(_read(f"/proc/{pid}/mountinfo").count("\n") for pid in namespaces.values())


def _read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError):
        # It ended between being listed and being looked at.
        return ""
