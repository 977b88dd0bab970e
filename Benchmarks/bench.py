# SPDX-License-Identifier: Apache-2.0
"""Measures the daemon that `scripts/with-daemon` started, beside its neighbours.

Everything is compared with something that runs in turns with it, on the same machine and in the
same minute: the ratios travel to other machines, the milliseconds do not.
"""

import argparse
import functools
import gc
import json
import os
import platform
import pwd
import shutil
import sys
import tempfile
import time

import footprint
import neighbours
import report
import sampling
from client import TRUE_RUN, Connection, encoded
from load import Alive, Crowd
from processes import ProgramError, become, come_back, run
from report import Figure

CONCURRENCY = 8
RATE_GOAL = 400.0
ALIVE = 200
# The jobs' sleep is longer.
ALIVE_SECONDS = 60
IDLE_SECONDS = 5
REST_RSS_BYTES = 60 << 20
# A thousandth of a core: less cannot be told from the measuring.
REST_CPU_MILLISECONDS = IDLE_SECONDS * 1.0
# What the allocator may still learn after a thousand runs.
RSS_GROWTH = 1.05


class Bench:
    """A run of the benchmark: what it needs, and where the figures go."""

    def __init__(self, options, directory, table):
        self.socket = os.environ["SANDBOXD_SOCKET"]
        self.daemon = int(os.environ["SANDBOXD_DAEMON_PID"])
        self.add = table.add
        self.is_quick = options.quick
        # A copy, for the checkout may lie where the daemon's user cannot go.
        self.program = shutil.copy2(os.path.join(options.build, "sandboxd"), directory)
        self.connection = Connection(self.socket)
        self.true = encoded(TRUE_RUN)
        digest = json.loads(self.connection.run(self.true))["image_digest"]
        self.root = os.path.join(options.images, digest.replace(":", "-"), "rootfs")

    def count(self, full, quick):
        return quick if self.is_quick else full

    def call(self, request):
        """An action: a run over the one kept connection."""
        return functools.partial(self.connection.run, request)

    def bwrap_true(self):
        """An action: the neighbour."""
        command = neighbours.bwrap(self.root, "/bin/true")
        return functools.partial(run, command, neighbours.ENVIRONMENT)


def latency(bench):
    """One at a time."""
    ours, other = sampling.take_turns(
        bench.call(bench.true), bench.bwrap_true(), bench.count(1000, 200))
    bench.add(*report.of_samples("true over a kept connection : bwrap", ours, other, goal=0.8))

    command = [
        bench.program, "run", "--profile", "code", "--quiet", "--socket", bench.socket, "--",
        "/bin/true",
    ]
    ours, other = sampling.take_turns(
        functools.partial(run, command, neighbours.ENVIRONMENT), bench.bwrap_true(),
        bench.count(500, 100))
    bench.add(*report.of_samples("true by the command line : bwrap", ours, other, goal=1.5))


def python(bench):
    """What the sandbox adds to a program that does nothing but start."""
    request = encoded({"profile": "code", "argv": ["python3", "-c", "pass"]})
    command, environment = neighbours.python(bench.root, "-c", "pass")
    ours, other = sampling.take_turns(
        bench.call(request), functools.partial(run, command, environment), bench.count(300, 60))
    added = ours.median - other.median
    bench.add(
        Figure("python3 -c pass, added ms by 3 : without a sandbox", ours.median, other.median,
               added / 3, 1.0, "ms", ours.count))


def sustained(bench):
    """The rate that lasts, and that nothing grows meanwhile."""
    total, first = bench.count((10_000, 1_000), (1_000, 200))
    slices = 10
    connections = [Connection(bench.socket) for _ in range(CONCURRENCY)]
    crowd = Crowd([functools.partial(connection.run, bench.true) for connection in connections])
    others = Crowd([bench.bwrap_true()] * CONCURRENCY)

    seconds = crowd.seconds(first)
    before = footprint.settled(bench.daemon)
    other_seconds, other_count = 0.0, 0
    for _ in range(slices):
        seconds += crowd.seconds((total - first) // slices)
        other_seconds += others.seconds(bench.count(200, 40))
        other_count += bench.count(200, 40)
    after = footprint.settled(bench.daemon)
    for connection in connections:
        connection.close()

    rate, other_rate = total / seconds, other_count / other_seconds
    bench.add(
        Figure(f"runs a second, {CONCURRENCY} at a time : at least", rate, RATE_GOAL,
               RATE_GOAL / rate, 1.0, "1/s", total),
        Figure(f"runs a second, {CONCURRENCY} at a time : bwrap", rate, other_rate,
               other_rate / rate, None, "1/s", total))
    flatness(bench, before, after, f"after run {total:,} : after run {first:,}", total)


def flatness(bench, before, after, when, runs):
    """A figure for each thing that could leak."""
    def add(name, ours, other, goal, unit):
        bench.add(Figure(f"{name} {when}", ours, other, ours / max(other, 1), goal, unit, runs))

    add("memory", after.rss_bytes / (1 << 20), before.rss_bytes / (1 << 20), RSS_GROWTH, "MiB")
    add("descriptors", after.descriptors, before.descriptors, 1.0, "")
    add("threads", after.threads, before.threads, 1.0, "")
    add("cgroups", after.cgroups, before.cgroups, 1.0, "")
    add("mounts", after.mounts, before.mounts, 1.0, "")


def alive(bench):
    """Many sandboxes at the same time, counted on the host."""
    request = encoded(
        {
            "profile": "code",
            "argv": ["/bin/sh", "-c", "echo alive; exec sleep 100"],
            "limits": {"memory_bytes": 16 << 20},
        },
        stream=True)
    before = footprint.settled(bench.daemon)
    crowd = Alive(bench.socket, request)
    began = time.monotonic()
    crowd.add(ALIVE)
    seconds = time.monotonic() - began
    counted = footprint.jobs(bench.daemon, "sleep")
    # A job that has spoken may still be the shell that becomes it.
    while counted < ALIVE and time.monotonic() < began + ALIVE_SECONDS:
        counted = footprint.jobs(bench.daemon, "sleep")
    bench.add(
        Figure("sandboxes alive at once : at least", counted, ALIVE, ALIVE / max(counted, 1), 1.0,
               "", ALIVE),
        Figure(f"{ALIVE} sandboxes started, one after the other", seconds, None, None, None,
               "s", ALIVE))

    crowd.hang_up()
    start = time.monotonic()
    while bench.connection.get("/v1/status")["runs"] and time.monotonic() - start < 30:
        time.sleep(0.005)
    bench.add(
        Figure(f"{ALIVE} sandboxes gone after their callers hung up", time.monotonic() - start,
               None, None, None, "s", ALIVE))
    after = footprint.settled(bench.daemon)
    for name in ("descriptors", "cgroups", "mounts"):
        ours, other = getattr(after, name), getattr(before, name)
        bench.add(
            Figure(f"{name} after {ALIVE} sandboxes : before", ours, other,
                   ours / max(other, 1), 1.0, "", ALIVE))


def rest(bench):
    """The daemon after all that, with nothing to do."""
    rss = footprint.settled(bench.daemon).rss_bytes
    cpu = footprint.cpu_milliseconds(bench.daemon)
    others = footprint.machine_busy(IDLE_SECONDS)
    cpu = footprint.cpu_milliseconds(bench.daemon) - cpu
    mebibytes = 1 << 20
    bench.add(
        Figure("at rest, memory with its helpers : at most", rss / mebibytes,
               REST_RSS_BYTES / mebibytes, rss / REST_RSS_BYTES, 1.0, "MiB", 1),
        Figure(f"at rest, processor time in {IDLE_SECONDS} s : at most", cpu,
               REST_CPU_MILLISECONDS, cpu / REST_CPU_MILLISECONDS, 1.0, "ms", 1))
    tell_of_others(others, "during the last")


def context(bench):
    """What others ask for a /bin/true: to tell the machine by."""
    runtimes = neighbours.Runtimes(bench.root)
    commands = [("fork and exec", ["/bin/true"]), ("unshare", neighbours.unshare("/bin/true"))]
    for name, command in [*commands, *runtimes.commands()]:
        action = functools.partial(run, command, neighbours.ENVIRONMENT)
        try:
            ours, other = sampling.take_turns(bench.call(bench.true), action, bench.count(200, 40))
        except ProgramError as error:
            print(f"  ({error}: left out)", file=sys.stderr)
            continue
        bench.add(*report.of_samples(f"true over a kept connection : {name}", ours, other, None))


def tell_of_others(share, when):
    """What else goes on here: figures from a machine that is busy are worth little."""
    print(f"{share:.0%} of the processors were at work {when} measurement", file=sys.stderr)


def parse():
    parser = argparse.ArgumentParser(prog="bench", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the runs")
    parser.add_argument("--no-fail", action="store_true", help="status 0 even if a goal is missed")
    parser.add_argument("--build", required=True, help="the directory with the programs")
    parser.add_argument("--images", required=True, help="the image store")
    parser.add_argument("--json", required=True, help="where the figures go")
    return parser.parse_args()


def main():
    options = parse()
    if "SANDBOXD_DAEMON_PID" not in os.environ:
        sys.exit("bench: no daemon: this is run by scripts/bench")
    print(f"Linux {platform.release()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    tell_of_others(footprint.machine_busy(1), "before the first")
    table = report.Table()
    # What happens now and then would hit whoever's turn it is.
    gc.disable()
    owner = pwd.getpwuid(os.stat(f"/proc/{os.environ['SANDBOXD_DAEMON_PID']}").st_uid)
    with tempfile.TemporaryDirectory(prefix="sandboxd-bench.") as directory:
        os.chmod(directory, 0o755)
        bench = Bench(options, directory, table)
        become(owner.pw_uid, owner.pw_gid)
        try:
            for measure in (latency, python, context, sustained, alive, rest):
                measure(bench)
        finally:
            # What follows is the caller's.
            come_back()
    return table.end(options.json, options.no_fail)


if __name__ == "__main__":
    sys.exit(main())
