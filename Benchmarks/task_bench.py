# SPDX-License-Identifier: Apache-2.0
"""Measures tasks on a daemon with a durable database, beside a daemon without one.

`scripts/bench-queue` starts both. The queue's own figures are made by `queue_bench.py`.
"""

import argparse
import functools
import gc
import json
import os
import random
import sys
import time

import sampling
from client import TRUE_RUN, Connection, DaemonError, encoded
from postgres import Server
from report import Figure, Table

START_GOAL_MS = 5.0
# Between two tasks, so that the node has become idle again; varied, to meet no rhythm of its own.
PAUSE_SECONDS = (0.05, 0.15)
SETTLED_GOAL = 250.0
ADDED_GOAL_MS = 1.5
TIMEOUT_SECONDS = 120

# `date` says when it began, as exactly as anything can be told from inside: it is the task's own
# process, and the realtime clock is the same in every namespace. It has loaded its libraries by
# then, which is half a millisecond that we give away. The attempt's stamps cannot say it:
# `leased_at` is before the sandbox is entered, and `timing` has no point in common with our clock.
DATE = {"profile": "code", "argv": ["/bin/date", "+%s%N"]}


def ended(connection, task):
    """A task once it has ended. It is asked seldom, for asking is work for who is measured."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        time.sleep(random.uniform(*PAUSE_SECONDS))
        found = connection.get(f"/v1/tasks/{task}")
        if found["state"] == "succeeded":
            return found
        if found["state"] not in ("ready", "running"):
            break
    raise DaemonError(f"task {task}: {json.dumps(found)}")


def first_instruction(connection, table, count):
    """From just before a task is sent, to its job's first words, on a node with nothing to do."""
    request = encoded(DATE, path="/v1/tasks")
    samples = []
    for number in range(sampling.WARM_UP + count):
        sent = time.time_ns()
        task = json.loads(connection.exchange(request))["task_id"]
        began = int(ended(connection, task)["attempts"][0]["report"]["stdout"])
        if number >= sampling.WARM_UP:
            samples.append((began - sent) / 1e6)
    samples = sampling.Samples(samples)
    name = "enqueue to first instruction, idle node"
    table.add(
        Figure(f"{name}, median : at most", samples.median, START_GOAL_MS,
               samples.median / START_GOAL_MS, 1.0, "ms", count),
        Figure(f"{name}, 99th percentile", samples.p99, None, None, None, "ms", count))


def settled(connection, table, database, count):
    """Real sandboxes from the queue: from sending the batch until the last is settled."""
    request = encoded({"tasks": [TRUE_RUN] * count}, path="/v1/tasks")
    sent = time.time()
    tasks = [task["task_id"] for task in json.loads(connection.exchange(request))["tasks"]]
    where = f"task_id BETWEEN {min(tasks)} AND {max(tasks)}"
    # The server waits, each look a snapshot of its own: nothing is asked of the daemon meanwhile.
    database.sql(f"""
        SET statement_timeout = '{TIMEOUT_SECONDS}s';
        DO $$ BEGIN
            WHILE EXISTS (SELECT FROM sandboxd.tasks WHERE {where} AND state = 0) LOOP
                PERFORM pg_sleep(0.05);
            END LOOP;
        END $$""")
    good, last = database.sql(f"""
        SELECT count(*) FILTER (WHERE state = 1), extract(epoch FROM max(finished_at))
        FROM sandboxd.tasks WHERE {where}""").split("|")
    if int(good) != count:
        raise DaemonError(f"{good} of {count} tasks succeeded")
    rate = count / (float(last) - sent)
    table.add(Figure(
        "true from the queue until settled, tasks a second : at least", rate, SETTLED_GOAL,
        SETTLED_GOAL / rate, 1.0, "1/s", count))


def added(connection, plain, table, count):
    """What writing a direct run down and paying for it adds, by turns with who does neither."""
    true = encoded(TRUE_RUN)
    ours, other = sampling.take_turns(
        functools.partial(connection.run, true), functools.partial(plain.run, true), count)
    table.add(Figure(
        f"direct true with a database, added ms by {ADDED_GOAL_MS} : without", ours.median,
        other.median, (ours.median - other.median) / ADDED_GOAL_MS, 1.0, "ms", count))


def parse():
    parser = argparse.ArgumentParser(prog="bench-queue", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the runs")
    parser.add_argument("--no-fail", action="store_true", help="status 0 even if a goal is missed")
    parser.add_argument("--json", required=True, help="where the figures go")
    return parser.parse_args()


def main():
    options = parse()
    if "SANDBOXD_PLAIN_SOCKET" not in os.environ:
        sys.exit("bench-queue: no daemons: this is run by scripts/bench-queue")
    # It refuses a server that is not durable.
    database = Server().first
    connection = Connection(os.environ["SANDBOXD_SOCKET"])
    plain = Connection(os.environ["SANDBOXD_PLAIN_SOCKET"])
    table = Table()
    gc.disable()
    first_instruction(connection, table, 20 if options.quick else 200)
    added(connection, plain, table, 50 if options.quick else 500)
    settled(connection, table, database, 200 if options.quick else 2000)
    return table.end(options.json, options.no_fail)


if __name__ == "__main__":
    sys.exit(main())
