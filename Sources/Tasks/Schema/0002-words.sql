-- SPDX-License-Identifier: Apache-2.0
--
-- Small functions that the others share, and the view for people.

-- A task's state, as a word. 0 is for tasks that have not ended: where their row is says which.
CREATE FUNCTION sandboxd.state_word(p_state smallint) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (ARRAY['open', 'succeeded', 'failed', 'cancelled', 'dead', 'rejected', 'expired'])[p_state + 1]
$$;

-- What an attempt costs by a budget's prices, in nanos, rounded up.
CREATE FUNCTION sandboxd.money(
    p_cpu_ms bigint, p_memory_mib_s bigint, p_runs bigint, p_egress_bytes bigint,
    p_price_cpu_s bigint, p_price_memory_gib_s bigint, p_price_run bigint, p_price_egress_gib bigint
) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN p_price_cpu_s + p_price_memory_gib_s + p_price_run + p_price_egress_gib = 0 THEN 0
        ELSE least(ceil(
            p_cpu_ms::float8 * p_price_cpu_s / 1000
            + p_memory_mib_s::float8 * p_price_memory_gib_s / 1024
            + p_runs::float8 * p_price_run
            + p_egress_bytes::float8 * p_price_egress_gib / 1073741824
        ), 4e18)::bigint END
$$;

-- Whether an attempt that ended so is tried again, attempts permitting.
CREATE FUNCTION sandboxd.is_retried(p_verdict text, p_retry_on text[]) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT p_verdict = ANY (coalesce(p_retry_on, ARRAY['engine_error', 'lease_lost']))
$$;

-- When a task is tried again: two seconds, doubled with each attempt, at most an hour; half of it to
-- one and a half, so that what failed together does not come back together. What the job could not
-- help waits for half a minute at most.
CREATE FUNCTION sandboxd.backoff(p_attempt smallint, p_verdict text) RETURNS interval
LANGUAGE sql VOLATILE AS $$
    SELECT make_interval(secs => least(
        CASE WHEN p_verdict IN ('engine_error', 'lease_lost') THEN 20 ELSE 3600 END,
        power(2, least(p_attempt, 16))) * (0.5 + random()))
$$;

-- How the ids of attempts begin that are made at a moment, in milliseconds: with the moment, as those of
-- direct runs do, by which an attempt's day is found in the history.
CREATE FUNCTION sandboxd.attempt_prefix(p_ms bigint) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT overlay(lpad(to_hex(p_ms), 12, '0') PLACING '-' FROM 9 FOR 0) || '-7'
$$;

-- A new id that begins so: the time and 74 random bits, a UUID of version 7. One expression, so that a
-- lease has it in its own statement.
CREATE FUNCTION sandboxd.attempt_id(p_prefix text) RETURNS uuid
LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
    SELECT (p_prefix || right(gen_random_uuid()::text, 21))::uuid
$$;

-- Begins a new period of a budget whose period is over. The caller holds the row's lock. Time only
-- goes forwards here: a clock that was set back starts nothing anew.
CREATE FUNCTION sandboxd.roll_budget(p_budget_id int) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO sandboxd.budget_periods AS p
        (budget_id, began, cpu_ms, memory_mib_s, wall_ms, runs, egress_bytes, money_nanos)
    SELECT budget_id, period_began, cpu_ms_used, memory_mib_s_used, wall_ms_used, runs_used,
        egress_bytes_used, money_nanos_used
    FROM sandboxd.budgets
    WHERE budget_id = p_budget_id AND period <> 'total'
        AND date_trunc(period, now(), 'UTC') > period_began
    -- A month begins with its first day, and a budget may have had both for a period.
    ON CONFLICT (budget_id, began) DO UPDATE SET cpu_ms = p.cpu_ms + excluded.cpu_ms,
        memory_mib_s = p.memory_mib_s + excluded.memory_mib_s,
        wall_ms = p.wall_ms + excluded.wall_ms, runs = p.runs + excluded.runs,
        egress_bytes = p.egress_bytes + excluded.egress_bytes,
        money_nanos = p.money_nanos + excluded.money_nanos;
    IF FOUND THEN
        UPDATE sandboxd.budgets SET period_began = date_trunc(period, now(), 'UTC'),
            cpu_ms_used = 0, memory_mib_s_used = 0, wall_ms_used = 0, runs_used = 0,
            egress_bytes_used = 0, money_nanos_used = 0
        WHERE budget_id = p_budget_id;
    END IF;
END
$$;

-- The lane of a budget and a pool; made when it is missing. set_budget makes both with the budget:
-- batches that made lanes in the order in which they name budgets would wait for each other in a circle.
CREATE FUNCTION sandboxd.lane_of(p_budget_id int, p_pool text) RETURNS int
LANGUAGE plpgsql AS $$
DECLARE
    v_lane int;
BEGIN
    SELECT lane INTO v_lane FROM sandboxd.lanes WHERE budget_id = p_budget_id AND pool = p_pool;
    IF NOT FOUND THEN
        INSERT INTO sandboxd.lanes (budget_id, pool) VALUES (p_budget_id, p_pool)
        ON CONFLICT (budget_id, pool) DO UPDATE SET pool = excluded.pool
        RETURNING lane INTO v_lane;
    END IF;
    RETURN v_lane;
END
$$;

SELECT sandboxd.lane_of(b.budget_id, p.pool)
FROM sandboxd.budgets b, unnest(ARRAY['sandbox', 'host']) AS p (pool);

-- Tells nodes that wait, if any does, that there is something to lease. A hint: who misses it looks
-- by himself a second later. None is sent while every node has work, for it would serialize commits.
CREATE FUNCTION sandboxd.wake() RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM sandboxd.workers WHERE waiting AND NOT retired) THEN
        PERFORM pg_notify('sandboxd_ready', '');
    END IF;
END
$$;

-- Whether a task waits for an approval. Its table comes later, so this is found when it is called.
CREATE FUNCTION sandboxd.is_held(p_task bigint) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (SELECT FROM sandboxd.task_held WHERE task_id = p_task);
END
$$;

-- Tasks as people want to see them.
CREATE VIEW sandboxd.task_queue AS
SELECT t.task_id AS id, t.spec AS payload,
    CASE WHEN t.state <> 0 THEN sandboxd.state_word(t.state)
        WHEN l.task_id IS NOT NULL THEN 'running'
        WHEN d.task_id IS NOT NULL THEN 'delayed'
        -- See 0010-approvals.sql: what waits for a word is in no other place.
        WHEN sandboxd.is_held(t.task_id) THEN 'awaiting_approval'
        ELSE 'ready' END AS status,
    w.node AS claimed_by, l.leased_at AS claimed_at, t.attempts, t.created_at, t.finished_at,
    t.profile, b.budget, -t.rank AS priority, t.verdict, t.exit_code, n.pool
FROM sandboxd.tasks t
JOIN sandboxd.lanes n ON n.lane = t.lane
JOIN sandboxd.budgets b ON b.budget_id = n.budget_id
LEFT JOIN sandboxd.task_leases l ON t.state = 0 AND l.task_id = t.task_id
LEFT JOIN sandboxd.workers w ON w.worker_id = l.worker_id
LEFT JOIN sandboxd.task_delayed d ON t.state = 0 AND d.task_id = t.task_id;
