-- SPDX-License-Identifier: Apache-2.0
--
-- Where a row is, is its state: a task waits in task_ready or task_delayed, runs in task_leases, and
-- has ended when it is in none of them. Those three tables see inserts and deletes only, and have one
-- index each, so that a long transaction elsewhere cannot fill them with dead rows that every lease
-- must step over. What has ended goes to task_attempts, which is only ever appended to and is dropped
-- by the day.
CREATE SCHEMA IF NOT EXISTS sandboxd;

-- sha256 is the file's, in hex: a program whose file is another one leaves the database alone.
CREATE TABLE sandboxd.schema_migrations (
    version int PRIMARY KEY,
    name text NOT NULL,
    sha256 text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);

-- One row. 'admits' false: nothing is leased anywhere. 'moves' true: a percentage has changed, and what
-- waits is being moved to where it belongs by now (0009-canary.sql): a lease looks at each task.
CREATE TABLE sandboxd.control (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    admits boolean NOT NULL DEFAULT true,
    moves boolean NOT NULL DEFAULT false
);
INSERT INTO sandboxd.control DEFAULT VALUES;

-- What the nodes know how to run, so that an enqueue can refuse and reserve without asking one. The
-- figures are a profile's limits: the most that one attempt can use. Memory is with swap.
CREATE TABLE sandboxd.profiles (
    profile text PRIMARY KEY CHECK (length(profile) BETWEEN 1 AND 64),
    cpu_ms bigint NOT NULL CHECK (cpu_ms > 0),
    wall_ms bigint NOT NULL CHECK (wall_ms > 0),
    memory_mib bigint NOT NULL CHECK (memory_mib > 0),
    egress_bytes bigint NOT NULL DEFAULT 0 CHECK (egress_bytes >= 0),
    -- How much of the memory is swap.
    swap_bytes bigint NOT NULL DEFAULT 0
        CHECK (swap_bytes >= 0 AND swap_bytes < memory_mib * 1048576),
    changed_at timestamptz NOT NULL DEFAULT now()
);

-- What the settings of a budget may be. They are domains, because only a statement that sets such a
-- column pays for their checks; what a CHECK of the table costs is said below.
CREATE DOMAIN sandboxd.budget_name AS text CHECK (length(value) BETWEEN 1 AND 64);
CREATE DOMAIN sandboxd.budget_period AS text CHECK (value IN ('day', 'month', 'total'));
CREATE DOMAIN sandboxd.budget_policy AS text CHECK (value IN ('hold', 'reject'));
CREATE DOMAIN sandboxd.price AS bigint CHECK (value BETWEEN 0 AND 1000000000000);

-- An account. One without a cap has a cap that no honest attempt reaches, so that no sum can pass
-- what its column holds. Money is in billionths of whatever the operator counts in. The row is updated
-- by every lease and completion: its page is left mostly empty, so that updates stay on it (HOT).
CREATE TABLE sandboxd.budgets (
    budget_id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    budget sandboxd.budget_name NOT NULL UNIQUE,
    period sandboxd.budget_period NOT NULL DEFAULT 'total',
    period_began timestamptz NOT NULL DEFAULT '-infinity',
    on_exhausted sandboxd.budget_policy NOT NULL DEFAULT 'hold',
    paused boolean NOT NULL DEFAULT false,

    cpu_ms_cap bigint NOT NULL DEFAULT 4000000000000000000,
    cpu_ms_used bigint NOT NULL DEFAULT 0,
    cpu_ms_reserved bigint NOT NULL DEFAULT 0,
    memory_mib_s_cap bigint NOT NULL DEFAULT 4000000000000000000,
    memory_mib_s_used bigint NOT NULL DEFAULT 0,
    memory_mib_s_reserved bigint NOT NULL DEFAULT 0,
    wall_ms_cap bigint NOT NULL DEFAULT 4000000000000000000,
    wall_ms_used bigint NOT NULL DEFAULT 0,
    wall_ms_reserved bigint NOT NULL DEFAULT 0,
    runs_cap bigint NOT NULL DEFAULT 4000000000000000000,
    runs_used bigint NOT NULL DEFAULT 0,
    runs_reserved bigint NOT NULL DEFAULT 0,
    egress_bytes_cap bigint NOT NULL DEFAULT 4000000000000000000,
    egress_bytes_used bigint NOT NULL DEFAULT 0,
    egress_bytes_reserved bigint NOT NULL DEFAULT 0,
    money_nanos_cap bigint NOT NULL DEFAULT 4000000000000000000,
    money_nanos_used bigint NOT NULL DEFAULT 0,
    money_nanos_reserved bigint NOT NULL DEFAULT 0,

    -- Prices, in nanos: of a CPU second, a GiB·s of memory, a run, a GiB of egress.
    price_cpu_s sandboxd.price NOT NULL DEFAULT 0,
    price_memory_gib_s sandboxd.price NOT NULL DEFAULT 0,
    price_run sandboxd.price NOT NULL DEFAULT 0,
    price_egress_gib sandboxd.price NOT NULL DEFAULT 0
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- Whether what a budget has used and reserved is within its caps, and nothing is negative.
CREATE FUNCTION sandboxd.is_within_caps(b sandboxd.budgets) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN least(
        b.cpu_ms_used, b.cpu_ms_reserved,
        b.cpu_ms_cap - b.cpu_ms_used - b.cpu_ms_reserved,
        b.memory_mib_s_used, b.memory_mib_s_reserved,
        b.memory_mib_s_cap - b.memory_mib_s_used - b.memory_mib_s_reserved,
        b.wall_ms_used, b.wall_ms_reserved,
        b.wall_ms_cap - b.wall_ms_used - b.wall_ms_reserved,
        b.runs_used, b.runs_reserved,
        b.runs_cap - b.runs_used - b.runs_reserved,
        b.egress_bytes_used, b.egress_bytes_reserved,
        b.egress_bytes_cap - b.egress_bytes_used - b.egress_bytes_reserved,
        b.money_nanos_used, b.money_nanos_reserved,
        b.money_nanos_cap - b.money_nanos_used - b.money_nanos_reserved
    ) >= 0;
END
$$;

-- The promise. No statement of anybody's can break it. It is one call of a function in PL/pgSQL,
-- because every statement that updates a table reads the text of its CHECKs anew: written out here,
-- the comparisons took several times as long as the rest of the update.
ALTER TABLE sandboxd.budgets
    ADD CONSTRAINT is_within_caps CHECK (sandboxd.is_within_caps(budgets));
INSERT INTO sandboxd.budgets (budget) VALUES ('default');

-- What a budget used in periods that are over.
CREATE TABLE sandboxd.budget_periods (
    budget_id int NOT NULL,
    began timestamptz NOT NULL,
    cpu_ms bigint NOT NULL,
    memory_mib_s bigint NOT NULL,
    wall_ms bigint NOT NULL,
    runs bigint NOT NULL,
    egress_bytes bigint NOT NULL,
    money_nanos bigint NOT NULL,
    PRIMARY KEY (budget_id, began)
);

-- A lane is what is served in turn: a budget's tasks of one pool.
CREATE TABLE sandboxd.lanes (
    lane int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    budget_id int NOT NULL REFERENCES sandboxd.budgets,
    pool text NOT NULL DEFAULT 'sandbox' CHECK (pool IN ('sandbox', 'host')),
    UNIQUE (budget_id, pool)
);

-- Who leases. A daemon is a new worker each time it starts; 'node' stays. 'beats' counts heartbeats,
-- so that others can tell a silent worker by their own clocks, whatever is done to the server's.
CREATE TABLE sandboxd.workers (
    worker_id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    node text NOT NULL,
    pool text NOT NULL DEFAULT 'sandbox' CHECK (pool IN ('sandbox', 'host')),
    boot_id text,
    version text,
    started_at timestamptz NOT NULL DEFAULT now(),
    lease_until timestamptz NOT NULL,
    -- For how long a heartbeat makes it live, so that others can tell by their own clocks.
    ttl_s float8 NOT NULL,
    beats bigint NOT NULL DEFAULT 0,
    -- Takes no new tasks.
    draining boolean NOT NULL DEFAULT false,
    -- Has found nothing to do, and wants to be told when there is.
    waiting boolean NOT NULL DEFAULT false,
    -- Over: its leases have been or will be taken away. It never comes back.
    retired boolean NOT NULL DEFAULT false
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- What was asked for, and how it ended. Nothing that changes is in an index, so that an update stays
-- on its page. What a lease reads comes first, the columns of one length before the others, for what
-- stands behind those is slower to find; what a settlement writes comes last, for all is logged that
-- lies between the first byte that changed and the last.
CREATE TABLE sandboxd.tasks (
    task_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- What one attempt reserves.
    cpu_ms bigint NOT NULL,
    memory_mib_s bigint NOT NULL,
    wall_ms bigint NOT NULL,
    egress_bytes bigint NOT NULL,
    memory_mib bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    lane int NOT NULL,
    -- Smaller is earlier: the negated priority.
    rank smallint NOT NULL DEFAULT 0,
    max_attempts smallint NOT NULL DEFAULT 3,
    cancel_requested boolean NOT NULL DEFAULT false,
    profile text NOT NULL,
    spec jsonb NOT NULL,
    deadline_at timestamptz,
    -- Verdicts after which it is tried again; null is the default, what the job cannot help.
    retry_on text[],
    state smallint NOT NULL DEFAULT 0,
    -- Attempts that counted. A snoozed one does not.
    attempts smallint NOT NULL DEFAULT 0,
    -- Of the last attempt that was settled.
    last_fence int NOT NULL DEFAULT 0,
    finished_at timestamptz,
    verdict text,
    exit_code int
) WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.05,
        autovacuum_vacuum_insert_scale_factor = 0.2);

CREATE TABLE sandboxd.task_keys (
    key text PRIMARY KEY,
    task_id bigint NOT NULL,
    spec_sha256 bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX task_keys_task ON sandboxd.task_keys (task_id);

-- Larger inputs, by content.
CREATE TABLE sandboxd.blobs (
    sha256 bytea PRIMARY KEY CHECK (length(sha256) = 32),
    content bytea NOT NULL,
    -- When somebody last said that he needs it.
    touched_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE sandboxd.task_blobs (
    task_id bigint NOT NULL,
    sha256 bytea NOT NULL,
    PRIMARY KEY (task_id, sha256)
);
CREATE INDEX task_blobs_sha256 ON sandboxd.task_blobs (sha256);

CREATE SEQUENCE sandboxd.ready_seq;
-- Every row can run now.
CREATE TABLE sandboxd.task_ready (
    lane int NOT NULL,
    rank smallint NOT NULL,
    seq bigint NOT NULL DEFAULT nextval('sandboxd.ready_seq'),
    task_id bigint NOT NULL,
    -- Of the next lease. It grows with every lease and is never used again.
    fence int NOT NULL,
    -- Of the next attempt, from 1.
    attempt smallint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000,
        autovacuum_vacuum_cost_delay = 0);
CREATE UNIQUE INDEX task_ready_pick ON sandboxd.task_ready (lane, rank, seq);

CREATE TABLE sandboxd.task_delayed (
    run_at timestamptz NOT NULL,
    task_id bigint NOT NULL,
    lane int NOT NULL,
    rank smallint NOT NULL,
    fence int NOT NULL,
    attempt smallint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000);
CREATE INDEX task_delayed_due ON sandboxd.task_delayed (run_at);
CREATE INDEX task_delayed_task ON sandboxd.task_delayed (task_id);

-- What runs. All that settling an attempt needs is in its row.
CREATE TABLE sandboxd.task_leases (
    task_id bigint PRIMARY KEY,
    fence int NOT NULL,
    attempt smallint NOT NULL,
    rank smallint NOT NULL,
    worker_id int NOT NULL,
    lane int NOT NULL,
    budget_id int NOT NULL,
    leased_at timestamptz NOT NULL DEFAULT now(),
    attempt_id uuid NOT NULL,
    -- What it reserved, and the prices of that moment, by which it will be charged.
    cpu_ms bigint NOT NULL,
    memory_mib_s bigint NOT NULL,
    wall_ms bigint NOT NULL,
    egress_bytes bigint NOT NULL,
    money_nanos bigint NOT NULL,
    price_cpu_s bigint NOT NULL,
    price_memory_gib_s bigint NOT NULL,
    price_run bigint NOT NULL,
    price_egress_gib bigint NOT NULL,
    -- What the last heartbeat said it has used.
    beat_cpu_ms bigint NOT NULL DEFAULT 0,
    beat_memory_mib_s bigint NOT NULL DEFAULT 0,
    beat_wall_ms bigint NOT NULL DEFAULT 0,
    beat_egress_bytes bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000,
        autovacuum_vacuum_cost_delay = 0);

-- How every attempt ended, and what it was charged.
CREATE TABLE sandboxd.task_attempts (
    task_id bigint NOT NULL,
    fence int NOT NULL,
    attempt smallint NOT NULL,
    attempt_id uuid NOT NULL,
    worker_id int NOT NULL,
    budget_id int NOT NULL,
    leased_at timestamptz NOT NULL,
    finished_at timestamptz NOT NULL DEFAULT now(),
    verdict text NOT NULL,
    exit_code int,
    cpu_ms bigint NOT NULL,
    memory_mib_s bigint NOT NULL,
    wall_ms bigint NOT NULL,
    runs smallint NOT NULL,
    egress_bytes bigint NOT NULL,
    money_nanos bigint NOT NULL,
    -- Where these figures are from: 'measured', the 'cgroup' that outlived its daemon, or the last
    -- 'heartbeat'; 'unheard' is a lease of which its worker never heard: nothing ran.
    charged_from text NOT NULL,
    -- Everything else that is known, as the API gives it: evidence, usage, receipt, output. Of type
    -- json, for an output may hold NUL, which jsonb refuses.
    report json,
    artifacts bytea[]
) PARTITION BY RANGE (finished_at);
CREATE INDEX task_attempts_task ON sandboxd.task_attempts (task_id, fence);
-- Takes what no day's partition does, so that a completion never fails for want of one.
CREATE TABLE sandboxd.task_attempts_rest PARTITION OF sandboxd.task_attempts DEFAULT;
