-- SPDX-License-Identifier: Apache-2.0
--
-- Where a row is, is its state: a task waits in task_ready or task_delayed, runs in task_leases, and
-- has ended when it is in none of them. Those three tables see inserts and deletes only, and have one
-- index each, so that a long transaction elsewhere cannot fill them with dead rows that every lease
-- must step over. What has ended goes to task_attempts, which is only ever appended to and is dropped
-- by the day.
CREATE SCHEMA IF NOT EXISTS sandboxd;

CREATE TABLE sandboxd.schema_migrations (
    version int PRIMARY KEY,
    name text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);

-- One row. 'admits' false: nothing is leased anywhere.
CREATE TABLE sandboxd.control (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    admits boolean NOT NULL DEFAULT true
);
INSERT INTO sandboxd.control DEFAULT VALUES;

-- What the nodes know how to run, so that an enqueue can refuse and reserve without asking one. The
-- figures are a profile's limits: the most that one attempt can use.
CREATE TABLE sandboxd.profiles (
    profile text PRIMARY KEY CHECK (length(profile) BETWEEN 1 AND 64),
    cpu_ms bigint NOT NULL CHECK (cpu_ms > 0),
    wall_ms bigint NOT NULL CHECK (wall_ms > 0),
    memory_mib bigint NOT NULL CHECK (memory_mib > 0),
    egress_bytes bigint NOT NULL DEFAULT 0 CHECK (egress_bytes >= 0),
    changed_at timestamptz NOT NULL DEFAULT now()
);

-- An account. A cap that is null does not hold; what is used is counted all the same. Money is in
-- billionths of whatever the operator counts in. The row is updated by every lease and completion:
-- its page is left mostly empty, so that updates stay on it (HOT).
CREATE TABLE sandboxd.budgets (
    budget_id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    budget text NOT NULL UNIQUE CHECK (length(budget) BETWEEN 1 AND 64),
    period text NOT NULL DEFAULT 'total' CHECK (period IN ('day', 'month', 'total')),
    period_began timestamptz NOT NULL DEFAULT '-infinity',
    on_exhausted text NOT NULL DEFAULT 'hold' CHECK (on_exhausted IN ('hold', 'reject')),
    paused boolean NOT NULL DEFAULT false,

    cpu_ms_cap bigint,
    cpu_ms_used bigint NOT NULL DEFAULT 0,
    cpu_ms_reserved bigint NOT NULL DEFAULT 0,
    memory_mib_s_cap bigint,
    memory_mib_s_used bigint NOT NULL DEFAULT 0,
    memory_mib_s_reserved bigint NOT NULL DEFAULT 0,
    wall_ms_cap bigint,
    wall_ms_used bigint NOT NULL DEFAULT 0,
    wall_ms_reserved bigint NOT NULL DEFAULT 0,
    runs_cap bigint,
    runs_used bigint NOT NULL DEFAULT 0,
    runs_reserved bigint NOT NULL DEFAULT 0,
    egress_bytes_cap bigint,
    egress_bytes_used bigint NOT NULL DEFAULT 0,
    egress_bytes_reserved bigint NOT NULL DEFAULT 0,
    money_nanos_cap bigint,
    money_nanos_used bigint NOT NULL DEFAULT 0,
    money_nanos_reserved bigint NOT NULL DEFAULT 0,

    -- Prices, in nanos: of a CPU second, a GiB·s of memory, a run, a GiB of egress.
    price_cpu_s bigint NOT NULL DEFAULT 0,
    price_memory_gib_s bigint NOT NULL DEFAULT 0,
    price_run bigint NOT NULL DEFAULT 0,
    price_egress_gib bigint NOT NULL DEFAULT 0,

    -- Few and together: each update reads the text of every constraint.
    CONSTRAINT nothing_is_negative CHECK (least(cpu_ms_cap, cpu_ms_used, cpu_ms_reserved,
        memory_mib_s_cap, memory_mib_s_used, memory_mib_s_reserved, wall_ms_cap, wall_ms_used,
        wall_ms_reserved, runs_cap, runs_used, runs_reserved, egress_bytes_cap, egress_bytes_used,
        egress_bytes_reserved, money_nanos_cap, money_nanos_used, money_nanos_reserved, price_cpu_s,
        price_memory_gib_s, price_run, price_egress_gib) >= 0),
    CONSTRAINT prices_are_sane CHECK (
        greatest(price_cpu_s, price_memory_gib_s, price_run, price_egress_gib) <= 1000000000000),
    -- The promise. No statement of anybody's can break it.
    CONSTRAINT cpu_ms_holds CHECK (cpu_ms_used + cpu_ms_reserved <= cpu_ms_cap),
    CONSTRAINT memory_mib_s_holds CHECK (memory_mib_s_used + memory_mib_s_reserved <= memory_mib_s_cap),
    CONSTRAINT wall_ms_holds CHECK (wall_ms_used + wall_ms_reserved <= wall_ms_cap),
    CONSTRAINT runs_holds CHECK (runs_used + runs_reserved <= runs_cap),
    CONSTRAINT egress_bytes_holds CHECK (egress_bytes_used + egress_bytes_reserved <= egress_bytes_cap),
    CONSTRAINT money_nanos_holds CHECK (money_nanos_used + money_nanos_reserved <= money_nanos_cap)
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
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
-- so that others can tell a silent worker by their own clocks when the server's has been set back.
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
-- on its page.
CREATE TABLE sandboxd.tasks (
    task_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    lane int NOT NULL,
    profile text NOT NULL,
    -- Smaller is earlier: the negated priority.
    rank smallint NOT NULL DEFAULT 0,
    state smallint NOT NULL DEFAULT 0,
    cancel_requested boolean NOT NULL DEFAULT false,
    -- Attempts that counted. A snoozed one does not.
    attempts smallint NOT NULL DEFAULT 0,
    -- Of the last attempt that was settled.
    last_fence int NOT NULL DEFAULT 0,
    max_attempts smallint NOT NULL DEFAULT 3,
    -- Verdicts after which it is tried again; null is the default, what the job cannot help.
    retry_on text[],
    deadline_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    verdict text,
    exit_code int,
    -- What one attempt reserves.
    cpu_ms bigint NOT NULL,
    memory_mib_s bigint NOT NULL,
    wall_ms bigint NOT NULL,
    egress_bytes bigint NOT NULL,
    memory_mib bigint NOT NULL,
    spec jsonb NOT NULL
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

CREATE TABLE sandboxd.task_leases (
    task_id bigint PRIMARY KEY,
    fence int NOT NULL,
    attempt smallint NOT NULL,
    attempt_id uuid NOT NULL,
    worker_id int NOT NULL,
    lane int NOT NULL,
    budget_id int NOT NULL,
    rank smallint NOT NULL,
    leased_at timestamptz NOT NULL DEFAULT now(),
    -- What it reserved in money; prices may change meanwhile. In every other unit it reserved what its
    -- task's row says, which does not change.
    money_nanos bigint NOT NULL,
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
    -- 'heartbeat'.
    charged_from text NOT NULL,
    -- Everything else that is known, as the API gives it: evidence, usage, receipt, output. Of type
    -- json, for an output may hold NUL, which jsonb refuses.
    report json,
    artifacts bytea[]
) PARTITION BY RANGE (finished_at);
CREATE INDEX task_attempts_task ON sandboxd.task_attempts (task_id, fence);
-- Takes what no day's partition does, so that a completion never fails for want of one.
CREATE TABLE sandboxd.task_attempts_rest PARTITION OF sandboxd.task_attempts DEFAULT;
