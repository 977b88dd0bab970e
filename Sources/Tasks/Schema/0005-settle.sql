-- SPDX-License-Identifier: Apache-2.0
--
-- How attempts end. Everything that ends one goes through settle(): the fence decides, the history is
-- written, the task ends or comes back, the budget gets back what was reserved and pays what was used,
-- all in one statement or not at all.

-- What becomes of a task after an attempt: 0 it comes back, else the state it ends in. The table of
-- this function is that of TaskFate.swift; a test holds the two together.
CREATE FUNCTION sandboxd.fate(
    p_verdict text, p_cancelled boolean, p_retry_on text[], p_attempt smallint, p_max smallint,
    p_deadline timestamptz
) RETURNS smallint
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT (CASE
        WHEN p_verdict = 'ok' THEN 1
        WHEN p_cancelled OR p_verdict = 'cancelled' THEN 3
        WHEN p_verdict = 'snoozed' THEN 0
        WHEN NOT sandboxd.is_retried(p_verdict, p_retry_on) THEN 2
        WHEN p_attempt >= p_max THEN 4
        WHEN p_deadline <= now() THEN 6
        ELSE 0
    END)::smallint
$$;

-- Settles attempts, fenced: an attempt whose lease is gone changes nothing and is not in the answer.
-- An attempt is never charged more than it reserved (its limits), whatever the figures say; the report
-- keeps the figures. The verdict 'snoozed' gives the task back without counting the attempt.
CREATE FUNCTION sandboxd.settle(
    p_tasks bigint[], p_fences int[], p_verdicts text[], p_exit_codes int[], p_cpu_ms bigint[],
    p_memory_mib_s bigint[], p_wall_ms bigint[], p_egress_bytes bigint[], p_charged_from text[],
    p_reports text[]
) RETURNS TABLE (task_id bigint, fence int, state smallint)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH given AS MATERIALIZED (
        SELECT * FROM unnest(p_tasks, p_fences, p_verdicts, p_exit_codes, p_cpu_ms, p_memory_mib_s,
            p_wall_ms, p_egress_bytes, p_charged_from, p_reports)
            AS g (task_id, fence, verdict, exit_code, cpu_ms, memory_mib_s, wall_ms, egress_bytes,
                charged_from, report)
    ), released AS (
        DELETE FROM sandboxd.task_leases l USING given g
        WHERE l.task_id = g.task_id AND l.fence = g.fence
        RETURNING l.task_id, l.fence, l.attempt, l.attempt_id, l.worker_id, l.lane, l.budget_id,
            l.leased_at, l.money_nanos, g.verdict, g.exit_code, g.cpu_ms, g.memory_mib_s, g.wall_ms,
            g.egress_bytes, g.charged_from, g.report
    ), ended AS MATERIALIZED (
        UPDATE sandboxd.tasks t SET
            attempts = t.attempts + (r.verdict <> 'snoozed')::int,
            last_fence = r.fence,
            verdict = r.verdict,
            exit_code = r.exit_code,
            state = sandboxd.fate(r.verdict, t.cancel_requested, t.retry_on, r.attempt,
                t.max_attempts, t.deadline_at),
            finished_at = CASE WHEN sandboxd.fate(r.verdict, t.cancel_requested, t.retry_on,
                r.attempt, t.max_attempts, t.deadline_at) > 0 THEN now() END
        FROM released r WHERE t.task_id = r.task_id
        RETURNING r.task_id, r.fence, r.attempt, r.attempt_id, r.worker_id, r.lane, r.budget_id,
            r.leased_at, r.money_nanos, r.verdict, r.exit_code, r.charged_from, r.report, t.state,
            t.rank, t.cpu_ms, t.memory_mib_s, t.wall_ms, t.egress_bytes,
            least(greatest(r.cpu_ms, 0), t.cpu_ms) AS paid_cpu_ms,
            least(greatest(r.memory_mib_s, 0), t.memory_mib_s) AS paid_memory_mib_s,
            least(greatest(r.wall_ms, 0), t.wall_ms) AS paid_wall_ms,
            least(greatest(r.egress_bytes, 0), t.egress_bytes) AS paid_egress_bytes,
            CASE WHEN r.verdict IN ('snoozed', 'engine_error') THEN 0 ELSE 1 END AS paid_runs
    -- The same order in every batch: two that share budgets never wait for each other in a circle.
    ), accounts AS MATERIALIZED (
        SELECT b.budget_id, b.price_cpu_s, b.price_memory_gib_s, b.price_run, b.price_egress_gib
        FROM sandboxd.budgets b WHERE b.budget_id IN (SELECT e.budget_id FROM ended e)
        ORDER BY b.budget_id FOR NO KEY UPDATE
    ), priced AS MATERIALIZED (
        SELECT e.*, least(e.money_nanos, sandboxd.money(e.paid_cpu_ms, e.paid_memory_mib_s,
            e.paid_runs, e.paid_egress_bytes, a.price_cpu_s, a.price_memory_gib_s, a.price_run,
            a.price_egress_gib)) AS paid_money_nanos
        FROM ended e JOIN accounts a ON a.budget_id = e.budget_id
    ), history AS (
        INSERT INTO sandboxd.task_attempts (task_id, fence, attempt, attempt_id, worker_id, budget_id,
            leased_at, verdict, exit_code, cpu_ms, memory_mib_s, wall_ms, runs, egress_bytes,
            money_nanos, charged_from, report)
        SELECT p.task_id, p.fence, p.attempt, p.attempt_id, p.worker_id, p.budget_id, p.leased_at,
            p.verdict, p.exit_code, p.paid_cpu_ms, p.paid_memory_mib_s, p.paid_wall_ms, p.paid_runs,
            p.paid_egress_bytes, p.paid_money_nanos, p.charged_from, p.report::json
        FROM priced p
    ), again AS (
        INSERT INTO sandboxd.task_delayed (run_at, task_id, lane, rank, fence, attempt)
        SELECT now() + sandboxd.backoff(e.attempt, e.verdict), e.task_id, e.lane, e.rank, e.fence + 1,
            e.attempt + 1
        FROM ended e WHERE e.state = 0 AND e.verdict <> 'snoozed'
    ), back AS (
        INSERT INTO sandboxd.task_ready (lane, rank, task_id, fence, attempt)
        SELECT e.lane, e.rank, e.task_id, e.fence + 1, e.attempt
        FROM ended e WHERE e.state = 0 AND e.verdict = 'snoozed'
    ), sums AS (
        SELECT p.budget_id, sum(p.cpu_ms) AS cpu_ms, sum(p.memory_mib_s) AS memory_mib_s,
            sum(p.wall_ms) AS wall_ms, count(*) AS runs, sum(p.egress_bytes) AS egress_bytes,
            sum(p.money_nanos) AS money_nanos, sum(p.paid_cpu_ms) AS paid_cpu_ms,
            sum(p.paid_memory_mib_s) AS paid_memory_mib_s, sum(p.paid_wall_ms) AS paid_wall_ms,
            sum(p.paid_runs) AS paid_runs, sum(p.paid_egress_bytes) AS paid_egress_bytes,
            sum(p.paid_money_nanos) AS paid_money_nanos
        FROM priced p GROUP BY p.budget_id
    ), settled AS (
        UPDATE sandboxd.budgets b SET
            cpu_ms_reserved = b.cpu_ms_reserved - s.cpu_ms,
            cpu_ms_used = b.cpu_ms_used + s.paid_cpu_ms,
            memory_mib_s_reserved = b.memory_mib_s_reserved - s.memory_mib_s,
            memory_mib_s_used = b.memory_mib_s_used + s.paid_memory_mib_s,
            wall_ms_reserved = b.wall_ms_reserved - s.wall_ms,
            wall_ms_used = b.wall_ms_used + s.paid_wall_ms,
            runs_reserved = b.runs_reserved - s.runs,
            runs_used = b.runs_used + s.paid_runs,
            egress_bytes_reserved = b.egress_bytes_reserved - s.egress_bytes,
            egress_bytes_used = b.egress_bytes_used + s.paid_egress_bytes,
            money_nanos_reserved = b.money_nanos_reserved - s.money_nanos,
            money_nanos_used = b.money_nanos_used + s.paid_money_nanos
        FROM sums s WHERE b.budget_id = s.budget_id
    )
    SELECT e.task_id, e.fence, e.state FROM ended e;
END
$$;

-- Settles what a worker has run: see settle(). Answers those that counted, with the task's state now.
CREATE FUNCTION sandboxd.complete(
    p_tasks bigint[], p_fences int[], p_verdicts text[], p_exit_codes int[], p_cpu_ms bigint[],
    p_memory_mib_s bigint[], p_wall_ms bigint[], p_egress_bytes bigint[],
    p_reports text[] DEFAULT '{}'
) RETURNS TABLE (task_id bigint, fence int, state smallint)
LANGUAGE plpgsql AS $$
BEGIN
    -- Not a plain SQL function: that would be planned anew with each call.
    RETURN QUERY SELECT * FROM sandboxd.settle(p_tasks, p_fences, p_verdicts, p_exit_codes, p_cpu_ms,
        p_memory_mib_s, p_wall_ms, p_egress_bytes,
        array_fill('measured'::text, ARRAY[coalesce(cardinality(p_tasks), 0)]), p_reports);
END
$$;

-- Cancels a task. Answers its state now: 'cancelled' when it had not begun, 'cancelling' when it runs
-- (its worker hears it with the next heartbeat), its final state when it had ended, null when there is
-- no such task. A waiting task's row that is far back in its lane goes when a lease meets it.
CREATE FUNCTION sandboxd.cancel(p_task bigint) RETURNS text
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET jit = off
AS $$
DECLARE
    v_task sandboxd.tasks;
BEGIN
    -- Leases are not touched, so that nobody waits in a circle: who settles this task waits for us and
    -- then reads what we wrote, and who runs it reads it with each heartbeat.
    SELECT * INTO v_task FROM sandboxd.tasks WHERE task_id = p_task FOR NO KEY UPDATE;
    IF NOT FOUND OR v_task.state <> 0 THEN
        RETURN sandboxd.state_word(v_task.state);
    END IF;
    UPDATE sandboxd.tasks SET cancel_requested = true WHERE task_id = p_task;
    DELETE FROM sandboxd.task_delayed WHERE task_id = p_task;
    IF NOT FOUND THEN
        -- Nobody leases from a lane that is held, so its rows are looked through here. What a lease has
        -- in hand just now is skipped: its worker will hear of it.
        DELETE FROM sandboxd.task_ready WHERE ctid = ANY (ARRAY(
            SELECT r.ctid FROM sandboxd.task_ready r WHERE r.ctid = ANY (ARRAY(
                SELECT f.at FROM (
                    SELECT s.ctid AS at, s.task_id FROM sandboxd.task_ready s
                    WHERE s.lane = v_task.lane AND s.rank = v_task.rank
                    ORDER BY s.lane, s.rank, s.seq LIMIT 10000
                ) AS f WHERE f.task_id = p_task))
            FOR UPDATE SKIP LOCKED));
    END IF;
    IF FOUND THEN
        UPDATE sandboxd.tasks SET state = 3, verdict = 'cancelled', finished_at = now()
        WHERE task_id = p_task;
        RETURN 'cancelled';
    END IF;
    -- Also when no lease is to be seen: one may just be coming.
    PERFORM pg_notify('sandboxd_cancel', p_task::text);
    PERFORM sandboxd.wake();
    RETURN 'cancelling';
END
$$;

-- Gives a task that ended without success another round of attempts. Answers its state now.
CREATE FUNCTION sandboxd.retry(p_task bigint) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    v_task sandboxd.tasks;
BEGIN
    SELECT * INTO v_task FROM sandboxd.tasks WHERE task_id = p_task FOR NO KEY UPDATE;
    IF NOT FOUND OR v_task.state IN (0, 1) THEN
        RETURN CASE WHEN FOUND THEN sandboxd.state_word(v_task.state) END;
    END IF;
    UPDATE sandboxd.tasks SET state = 0, cancel_requested = false, verdict = NULL, exit_code = NULL,
        finished_at = NULL, deadline_at = CASE WHEN deadline_at > now() THEN deadline_at END
    WHERE task_id = p_task;
    INSERT INTO sandboxd.task_ready (lane, rank, task_id, fence, attempt)
    VALUES (v_task.lane, v_task.rank, p_task, v_task.last_fence + 1, 1);
    PERFORM sandboxd.wake();
    RETURN 'ready';
END
$$;
