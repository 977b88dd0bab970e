# SPDX-License-Identifier: Apache-2.0
"""Our queue, without a daemon: the statements that nodes send, from connections of their own."""

import subprocess

from postgres import Drained

BUDGETS = 16
# Longer than any run: there are no heartbeats here.
LEASE_SECONDS = 3600
FILL_BATCH = 5000
# Never reached; that there is a cap is what costs.
CAP = 10**17
# About 200 bytes of spec, as the database writes it down.
SPEC = """jsonb_build_object('argv',
    jsonb_build_array('/bin/sh', '-c', rpad('echo ' || i, 160, '.')))"""

# Lease, run nothing, complete: two commits. The specs are fetched, as a node fetches them.
ROUND = f"""
\\set worker :client_id + 1
\\set after random(0, {2 * BUDGETS + 2})
SELECT coalesce(array_agg(task_id), '{{}}')::text AS ids,
    coalesce(array_agg(fence), '{{}}')::text AS fences, count(*)::int AS leased,
    coalesce(string_agg(spec::text, ' '), '') AS specs
FROM sandboxd.lease(:worker, %d, 4611686018427387904, :after) \\gset
SELECT count(*) FROM sandboxd.complete(:ids::bigint[], :fences::int[],
    array_fill('ok'::text, ARRAY[:leased::int]), array_fill(0, ARRAY[:leased::int]),
    array_fill(7::bigint, ARRAY[:leased::int]), array_fill(11::bigint, ARRAY[:leased::int]),
    array_fill(13::bigint, ARRAY[:leased::int]), array_fill(0::bigint, ARRAY[:leased::int]));
"""

# One that adds at the end of the queue what it takes from its beginning.
CHURN = f"""
\\set budget random(1, {BUDGETS})
SELECT count(*) FROM sandboxd.enqueue_many((SELECT jsonb_agg(jsonb_build_object(
    'profile', 'bench', 'budget', 'bench-' || :budget::int, 'spec', {SPEC}))
    FROM generate_series(1, 10) AS i));
""" + ROUND % 10

UNITS = ("cpu_ms", "memory_mib_s", "wall_ms", "runs", "egress_bytes", "money_nanos")


def prepare(database, program, count):
    """The schema, sixteen budgets with caps and prices, and so many tasks that wait."""
    subprocess.run(
        [program, "db", "migrate", "--database", database.target], check=True,
        stdout=subprocess.DEVNULL)
    caps = ", ".join(f"'{unit}_cap', {CAP}" for unit in UNITS)
    database.sql(f"""
        INSERT INTO sandboxd.profiles (profile, cpu_ms, wall_ms, memory_mib)
        VALUES ('bench', 60000, 120000, 512);
        SELECT sandboxd.set_budget('bench-' || i, jsonb_build_object({caps}, 'price_cpu_s', 24000,
            'price_memory_gib_s', 2500, 'price_run', 100)) FROM generate_series(1, {BUDGETS}) AS i;
    """)
    for first in range(1, count + 1, FILL_BATCH):
        last = min(count, first + FILL_BATCH - 1)
        database.sql(f"""
            SELECT count(*) FROM sandboxd.enqueue_many((SELECT jsonb_agg(jsonb_build_object(
                'profile', 'bench', 'budget', 'bench-' || 1 + i % {BUDGETS}, 'spec', {SPEC}))
                FROM generate_series({first}, {last}) AS i))""")
    database.sql("VACUUM ANALYZE")


def register(database, clients):
    """Workers 1, 2, 3...: the first of their database."""
    database.sql(f"""
        SELECT sandboxd.register_worker('bench-' || i, {LEASE_SECONDS})
        FROM generate_series(1, {clients}) AS i""")


def churn(database, clients, seconds):
    """Some time of a queue's ordinary life; as many wait afterwards as before."""
    database.pgbench(CHURN, clients, "-T", str(seconds))


def drain(database, batch, clients, jobs):
    """Leases and completes so many, and then checks the books."""
    before, log = attempts(database), database.wal_bytes()
    _, seconds = database.pgbench(
        ROUND % batch, clients, "-t", str(max(1, jobs // (batch * clients))))
    log = database.wal_bytes() - log
    check(database)
    done = attempts(database) - before
    if done < jobs * 0.95:
        raise SystemExit(f"bench-queue: {done} of {jobs} tasks were completed: leases come short")
    return Drained(done, seconds, log)


def attempts(database):
    """How many are in the history."""
    return int(database.sql("SELECT count(*) FROM sandboxd.task_attempts"))


def check(database):
    """Nothing is leased or reserved, no task is lost, and budgets have paid what history says."""
    paid = ", ".join(f"coalesce(sum({unit}), 0) AS {unit}" for unit in UNITS)
    wrong = " OR ".join(
        f"b.{unit}_reserved <> 0 OR b.{unit}_used <> coalesce(a.{unit}, 0)" for unit in UNITS)
    found = database.sql(f"""
        SELECT 'leases are left' FROM sandboxd.task_leases HAVING count(*) > 0;
        SELECT 'tasks are lost' WHERE (SELECT count(*) FROM sandboxd.tasks) <>
            (SELECT count(*) FROM sandboxd.task_ready)
            + (SELECT count(*) FROM sandboxd.tasks WHERE state = 1);
        SELECT 'history is lost' WHERE (SELECT count(*) FROM sandboxd.task_attempts) <>
            (SELECT count(*) FROM sandboxd.tasks WHERE state = 1);
        SELECT 'nothing was paid' FROM sandboxd.task_attempts HAVING sum(money_nanos) = 0;
        SELECT 'the books of ' || b.budget || ' are wrong' FROM sandboxd.budgets b
        LEFT JOIN (SELECT budget_id, {paid} FROM sandboxd.task_attempts GROUP BY budget_id) AS a
            ON a.budget_id = b.budget_id
        WHERE {wrong};""")
    if found:
        raise SystemExit(f"bench-queue: after a run: {found}")


def dead_rows(database):
    """Rows of the hot tables that are gone and cannot be removed."""
    return int(database.sql("""
        SELECT sum(pg_stat_get_dead_tuples(oid)) FROM pg_class
        WHERE oid IN ('sandboxd.task_ready'::regclass, 'sandboxd.task_leases'::regclass)"""))
