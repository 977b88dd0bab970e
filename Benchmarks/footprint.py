# SPDX-License-Identifier: Apache-2.0
"""What the daemon and its helpers hold, seen from outside."""

import dataclasses
import os
import time

from processes import as_root


READINGS = 50
BETWEEN_READINGS = 0.1


@dataclasses.dataclass
class Footprint:
    """Counts over the daemon and everything that it started."""

    rss_bytes: int
    descriptors: int
    threads: int
    cgroups: int
    mounts: int


def settled(daemon):
    """The footprint once it stands still.

    A daemon has work of its own after an answer: it lets go of connections and prepares the next
    sandbox. That ends by itself; what leaks, stays.
    """
    before = None
    for _ in range(READINGS):
        now = _measure(daemon)
        if now == before:
            break
        before = now
        time.sleep(BETWEEN_READINGS)
    return now


def _measure(daemon):
    with as_root():
        family = [daemon, *descendants(daemon)]
        return Footprint(
            rss_bytes=sum(_rss_bytes(pid) for pid in family),
            descriptors=sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in family),
            threads=sum(len(os.listdir(f"/proc/{pid}/task")) for pid in family),
            cgroups=_cgroups(family),
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


def machine_busy(seconds):
    """Which part of the machine's processors is at work while this program waits."""
    before = _machine_ticks()
    time.sleep(seconds)
    busy, total = (now - then for now, then in zip(_machine_ticks(), before))
    return busy / max(total, 1)


def _machine_ticks():
    """Ticks at work, and all ticks, of all processors together (proc(5))."""
    ticks = [int(word) for word in _read("/proc/stat").split("\n", 1)[0].split()[1:9]]
    idle = ticks[3] + ticks[4]
    return sum(ticks) - idle, sum(ticks)


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


def _cgroups(family):
    """Directories in those where the daemon makes its attempts, as its janitor knows them."""
    roots = set()
    for pid in family:
        arguments = _read(f"/proc/{pid}/cmdline").split("\0")
        if "janitor" in arguments:
            roots.update(word for word in arguments if word.startswith("/sys/fs/cgroup/"))
    return sum(1 for root in roots for _ in os.walk(root))


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
