# SPDX-License-Identifier: Apache-2.0
"""Measures the queue beside other queues on the same durable server, by `scripts/bench-queue`."""

import argparse
import contextlib
import functools
import os
import platform
import statistics
import sys

import drain
import peers
import pgmq_shape
from postgres import Server
from reader import reader
from report import Figure, Table

BATCHES = (1, 10, 100)
CLIENTS = (2, 4)
RATE_GOALS = {10: 20_000.0, 100: 60_000.0}
# What must be left of the rate while somebody reads for a long time.
READER_SHARE = 0.8
READER_SECONDS = 60
READER_CLIENTS = 4
# So many that a drain takes seconds; and that no lease finds the queue's end.
JOBS = {1: 15_000, 10: 100_000, 100: 300_000}
SPARE = 1.1
PEER_JOBS = {1: 3_000, 10: 20_000, 100: 30_000}
OURS = "synchronous_commit on; ours: history, fence, 16 priced budgets"


class Bench:
    """A run of the benchmark."""

    def __init__(self, options, server):
        self.server = server
        self.is_quick = options.quick
        self.program = os.path.join(options.build, "sandboxd")
        self.environment = peers.Environment(options.venv)
        self.peers = [peer for peer in (peers.PGQUEUER, peers.PROCRASTINATE) if self._has(peer)]
        self.table = Table()

    def _has(self, peer):
        try:
            self.environment.install(peer)
            return True
        except peers.PeerError as error:
            print(f"  (left out: {peer.name}: {error})", file=sys.stderr)
            return False

    def count(self, full):
        return full // 10 if self.is_quick else full

    def figure(self, name, ours, other, ratio, goal, jobs, notes):
        self.table.add(Figure(name, ours, other, ratio, goal, "1/s", jobs, notes))


def floor(bench):
    """What a commit costs on this disk, to tell the machine by."""
    bench.table.add(Figure(
        "fdatasync of a block on the server's disk", bench.server.sync_milliseconds(), None, None,
        None, "ms", 200))


def ours_anew(database, batch, clients, jobs):
    """A drain by workers that have just come."""
    drain.register(database, clients)
    return drain.drain(database, batch, clients, jobs)


def rates(bench, batch):
    """Ours and every other queue at this batch, by turns, each in a copy of the same queue."""
    jobs, peer_jobs = bench.count(JOBS[batch]), bench.count(PEER_JOBS[batch])
    contestants = [
        ("ours", OURS, jobs, ours_anew),
        ("pgmq's shape", "history, no fence, no budgets", jobs, pgmq_shape.drain),
    ]
    with contextlib.ExitStack() as stack:
        ours = stack.enter_context(bench.server.database("queue_0"))
        drain.prepare(ours, bench.program, int(jobs * SPARE))
        other = stack.enter_context(bench.server.database("queue_1"))
        pgmq_shape.prepare(other, drain.SPEC, int(jobs * SPARE))
        for peer in bench.peers:
            # It has no batches; here it stands beside our leases of one.
            if peer is peers.PROCRASTINATE and batch > 1:
                continue
            database = stack.enter_context(bench.server.database(f"queue_{len(contestants)}"))
            bench.environment.fill(database, peer, peer_jobs)
            contestants.append((
                peer.name, peer.notes, peer_jobs,
                functools.partial(bench.environment.drain, peer)))
        for clients in CLIENTS:
            compare(bench, batch, clients, contestants)


def compare(bench, batch, clients, contestants):
    """The medians of some turns: ours against its goal, and against each of the others."""
    turns = {name: [] for name, *_ in contestants}
    for _ in range(1 if bench.is_quick else 3):
        for number, (name, _, jobs, run) in enumerate(contestants):
            with bench.server.database("turn", f"queue_{number}") as database:
                turns[name].append(run(database, batch, clients, jobs))

    title = f"lease and complete by {batch}, {clients} clients"
    rate = {name: statistics.median(turn.rate for turn in turns[name]) for name in turns}
    log = {name: turns[name][0].wal_bytes / turns[name][0].jobs / 1000 for name in turns}
    jobs = sum(turn.jobs for turn in turns["ours"])
    ours = f"{OURS}, {log['ours']:.1f} kB of WAL a job"
    if goal := RATE_GOALS.get(batch):
        bench.figure(
            f"{title} : at least", rate["ours"], goal, goal / rate["ours"], 1.0, jobs, ours)
    for name, notes, *_ in contestants[1:]:
        bench.figure(f"{title} : {name}", rate["ours"], rate[name], rate[name] / rate["ours"], 1.0,
                     jobs, f"{ours}; other: {notes}, {log[name]:.1f} kB")


def held_back(bench, batch):
    """Ours while a transaction keeps every row that is deleted, after a minute of ordinary life."""
    jobs, found = bench.count(JOBS[batch]), {}
    with bench.server.database("queue_0") as queue:
        drain.prepare(queue, bench.program, int(jobs * SPARE))
        for is_held in (False, True):
            with bench.server.database("turn", "queue_0") as database:
                drain.register(database, READER_CLIENTS)
                with reader(database) if is_held else contextlib.nullcontext():
                    drain.churn(database, READER_CLIENTS, 3 if bench.is_quick else READER_SECONDS)
                    turn = drain.drain(database, batch, READER_CLIENTS, jobs)
                    found[is_held] = turn.rate, drain.dead_rows(database)
    (without, _), (held, dead) = found[False], found[True]
    bench.figure(
        f"by {batch}, {READER_CLIENTS} clients, a reader holds on : no reader", held, without,
        without / held, 1 / READER_SHARE, turn.jobs,
        f"{OURS}; {dead:,} dead rows could not be removed")


def parse():
    parser = argparse.ArgumentParser(prog="bench-queue", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the jobs, and one turn")
    parser.add_argument("--no-fail", action="store_true", help="status 0 even if a goal is missed")
    parser.add_argument("--build", required=True, help="the directory with the programs")
    parser.add_argument("--venv", required=True, help="where the other queues are installed")
    parser.add_argument("--json", required=True, help="where the figures go")
    return parser.parse_args()


def main():
    options = parse()
    if "SANDBOXD_TEST_DATABASE" not in os.environ:
        sys.exit("bench-queue: no server: this is run by scripts/bench-queue")
    server = Server()
    print(f"PostgreSQL {server.version}, Linux {platform.release()}, {os.cpu_count()} cores")
    bench = Bench(options, server)
    floor(bench)
    for batch in BATCHES:
        rates(bench, batch)
    for batch in RATE_GOALS:
        held_back(bench, batch)
    return bench.table.end(options.json, options.no_fail)


if __name__ == "__main__":
    sys.exit(main())
