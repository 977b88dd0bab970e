-- SPDX-License-Identifier: Apache-2.0
--
-- How attempts end. Everything that ends one goes through settle(): the fence decides, the history is
-- written, the task ends or comes back, the budget gets back what was reserved and pays what was used,
-- all in one call or not at all.

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
-- An attempt is never charged more than it reserved (its limits), whatever the figures say, and by the
-- prices of the moment at which it was leased; the report keeps the figures. The verdict 'snoozed' gives
-- the task back without counting the attempt. Figures that p_charged_from says nothing of are measured.
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
DECLARE
    v_sums record;
    -- The places in the batch of those that count, and which attempts of their tasks they are.
    v_places bigint[];
    v_attempts smallint[];
    v_is_ok boolean := true;
    v_moves boolean;
BEGIN
    -- Leases first: the fence decides, and all that follows is about what was released here. Each
    -- attempt goes into the history as it is released. Then budgets, in the same order in every batch:
    -- two that share some never wait for each other in a circle.
    FOR v_sums IN
        WITH released AS (
            DELETE FROM sandboxd.task_leases l
            USING unnest(p_tasks, p_verdicts) WITH ORDINALITY AS g (task_id, verdict, place)
            WHERE l.task_id = g.task_id AND l.fence = p_fences[g.place]
            RETURNING l.task_id, l.fence, l.attempt, l.worker_id, l.budget_id, l.leased_at,
                l.attempt_id, l.cpu_ms, l.memory_mib_s, l.wall_ms, l.egress_bytes, l.money_nanos,
                g.place, g.verdict,
                least(greatest(p_cpu_ms[g.place], 0), l.cpu_ms) AS paid_cpu_ms,
                least(greatest(p_memory_mib_s[g.place], 0), l.memory_mib_s) AS paid_memory_mib_s,
                least(greatest(p_wall_ms[g.place], 0), l.wall_ms) AS paid_wall_ms,
                (g.verdict NOT IN ('snoozed', 'engine_error'))::int AS paid_runs,
                least(greatest(p_egress_bytes[g.place], 0), l.egress_bytes) AS paid_egress_bytes,
                least(l.money_nanos, sandboxd.money(least(greatest(p_cpu_ms[g.place], 0), l.cpu_ms),
                    least(greatest(p_memory_mib_s[g.place], 0), l.memory_mib_s),
                    (g.verdict NOT IN ('snoozed', 'engine_error'))::int,
                    least(greatest(p_egress_bytes[g.place], 0), l.egress_bytes), l.price_cpu_s,
                    l.price_memory_gib_s, l.price_run, l.price_egress_gib)) AS paid_money_nanos
        ), history AS (
            INSERT INTO sandboxd.task_attempts (task_id, fence, attempt, attempt_id, worker_id,
                budget_id, leased_at, verdict, exit_code, cpu_ms, memory_mib_s, wall_ms, runs,
                egress_bytes, money_nanos, charged_from, report)
            SELECT r.task_id, r.fence, r.attempt, r.attempt_id, r.worker_id, r.budget_id, r.leased_at,
                r.verdict, p_exit_codes[r.place], r.paid_cpu_ms, r.paid_memory_mib_s, r.paid_wall_ms,
                r.paid_runs, r.paid_egress_bytes, r.paid_money_nanos,
                coalesce(p_charged_from[r.place], 'measured'), p_reports[r.place]::json
            FROM released r
        )
        SELECT r.budget_id, sum(r.cpu_ms) AS cpu_ms, sum(r.memory_mib_s) AS memory_mib_s,
            sum(r.wall_ms) AS wall_ms, count(*) AS runs, sum(r.egress_bytes) AS egress_bytes,
            sum(r.money_nanos) AS money_nanos, sum(r.paid_cpu_ms) AS paid_cpu_ms,
            sum(r.paid_memory_mib_s) AS paid_memory_mib_s, sum(r.paid_wall_ms) AS paid_wall_ms,
            sum(r.paid_runs) AS paid_runs, sum(r.paid_egress_bytes) AS paid_egress_bytes,
            sum(r.paid_money_nanos) AS paid_money_nanos, bool_and(r.verdict = 'ok') AS is_ok,
            array_agg(r.place) AS places, array_agg(r.attempt) AS attempts
        FROM released r GROUP BY r.budget_id ORDER BY r.budget_id
    LOOP
        UPDATE sandboxd.budgets b SET
            cpu_ms_reserved = b.cpu_ms_reserved - v_sums.cpu_ms,
            cpu_ms_used = b.cpu_ms_used + v_sums.paid_cpu_ms,
            memory_mib_s_reserved = b.memory_mib_s_reserved - v_sums.memory_mib_s,
            memory_mib_s_used = b.memory_mib_s_used + v_sums.paid_memory_mib_s,
            wall_ms_reserved = b.wall_ms_reserved - v_sums.wall_ms,
            wall_ms_used = b.wall_ms_used + v_sums.paid_wall_ms,
            runs_reserved = b.runs_reserved - v_sums.runs,
            runs_used = b.runs_used + v_sums.paid_runs,
            egress_bytes_reserved = b.egress_bytes_reserved - v_sums.egress_bytes,
            egress_bytes_used = b.egress_bytes_used + v_sums.paid_egress_bytes,
            money_nanos_reserved = b.money_nanos_reserved - v_sums.money_nanos,
            money_nanos_used = b.money_nanos_used + v_sums.paid_money_nanos
        WHERE b.budget_id = v_sums.budget_id;
        v_is_ok := v_is_ok AND v_sums.is_ok;
        v_places := v_places || v_sums.places;
        v_attempts := v_attempts || v_sums.attempts;
    END LOOP;

    -- Then tasks. When all have succeeded, which is the usual case, no rule is needed.
    IF v_is_ok THEN
        RETURN QUERY
        UPDATE sandboxd.tasks t SET state = 1, verdict = 'ok', finished_at = now(),
            attempts = t.attempts + 1, last_fence = p_fences[u.place],
            exit_code = p_exit_codes[u.place]
        FROM unnest(v_places) AS u (place) WHERE t.task_id = p_tasks[u.place]
        RETURNING t.task_id, t.last_fence, t.state;
        RETURN;
    END IF;
    -- What comes back comes to the pool where it belongs by now.
    v_moves := EXISTS (SELECT FROM sandboxd.canaries);
    RETURN QUERY
    WITH ended AS (
        UPDATE sandboxd.tasks t SET verdict = p_verdicts[u.place],
            -- What has ended stays where it ran.
            lane = CASE WHEN v_moves AND NOT t.is_pinned AND sandboxd.fate(p_verdicts[u.place],
                    t.cancel_requested, t.retry_on, u.attempt, t.max_attempts, t.deadline_at) = 0
                THEN sandboxd.home_lane(t.task_id, t.lane) ELSE t.lane END,
            attempts = t.attempts + (p_verdicts[u.place] <> 'snoozed')::int,
            last_fence = p_fences[u.place], exit_code = p_exit_codes[u.place],
            state = sandboxd.fate(p_verdicts[u.place], t.cancel_requested, t.retry_on, u.attempt,
                t.max_attempts, t.deadline_at),
            finished_at = CASE WHEN sandboxd.fate(p_verdicts[u.place], t.cancel_requested,
                t.retry_on, u.attempt, t.max_attempts, t.deadline_at) > 0 THEN now() END
        FROM unnest(v_places, v_attempts) AS u (place, attempt)
        WHERE t.task_id = p_tasks[u.place]
        RETURNING t.task_id, t.last_fence, t.state, t.verdict, t.lane, t.rank, u.attempt
    ), again AS (
        INSERT INTO sandboxd.task_delayed (run_at, task_id, lane, rank, fence, attempt)
        SELECT now() + sandboxd.backoff(e.attempt, e.verdict), e.task_id, e.lane, e.rank,
            e.last_fence + 1, e.attempt + 1
        FROM ended e WHERE e.state = 0 AND e.verdict <> 'snoozed'
    ), back AS (
        INSERT INTO sandboxd.task_ready (lane, rank, task_id, fence, attempt)
        SELECT e.lane, e.rank, e.task_id, e.last_fence + 1, e.attempt
        FROM ended e WHERE e.state = 0 AND e.verdict = 'snoozed'
    )
    SELECT e.task_id, e.last_fence, e.state FROM ended e;
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
        p_memory_mib_s, p_wall_ms, p_egress_bytes, NULL, p_reports);
END
$$;

-- Cancels a task. Answers its state now: 'cancelled' when it had not begun, 'cancelling' when it runs
-- (its worker hears it with the next heartbeat), its final state when it had ended, null when there is
-- no such task. A waiting task's row that is far back in its lane goes when a lease meets it. Its shadow
-- (0009-canary.sql) has nothing to be beside any more, and is cancelled too.
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
    v_shadow bigint;
    v_waited boolean;
BEGIN
    -- Leases are not touched, so that nobody waits in a circle: who settles this task waits for us and
    -- then reads what we wrote, and who runs it reads it with each heartbeat.
    SELECT * INTO v_task FROM sandboxd.tasks WHERE task_id = p_task FOR NO KEY UPDATE;
    IF NOT FOUND OR v_task.state <> 0 THEN
        RETURN sandboxd.state_word(v_task.state);
    END IF;
    UPDATE sandboxd.tasks SET cancel_requested = true WHERE task_id = p_task;
    DELETE FROM sandboxd.task_shadows WHERE task_id = p_task RETURNING shadow_id INTO v_shadow;
    IF FOUND THEN
        -- Nobody is waited for: who has it in hand just now ends it.
        PERFORM FROM sandboxd.tasks WHERE task_id = v_shadow FOR NO KEY UPDATE SKIP LOCKED;
        IF FOUND THEN
            PERFORM sandboxd.cancel(v_shadow);
        END IF;
    END IF;
    DELETE FROM sandboxd.task_delayed WHERE task_id = p_task;
    v_waited := FOUND;
    IF NOT v_waited THEN
        DELETE FROM sandboxd.task_held WHERE task_id = p_task;
        v_waited := FOUND;
        -- What is asked about when it is brought back is asked anew, with a time of its own.
        UPDATE sandboxd.approvals SET decision = 'cancelled', decided_at = clock_timestamp()
        WHERE v_waited AND task_id = p_task AND decision IS NULL;
    END IF;
    IF NOT v_waited THEN
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
        v_waited := FOUND;
    END IF;
    IF v_waited THEN
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
    v_since bigint := nextval('sandboxd.ready_seq');
BEGIN
    SELECT * INTO v_task FROM sandboxd.tasks WHERE task_id = p_task FOR NO KEY UPDATE;
    IF NOT FOUND OR v_task.state IN (0, 1) THEN
        RETURN CASE WHEN FOUND THEN sandboxd.state_word(v_task.state) END;
    END IF;
    IF NOT v_task.is_pinned THEN
        v_task.lane := sandboxd.home_lane(p_task, v_task.lane);
    END IF;
    UPDATE sandboxd.tasks SET state = 0, cancel_requested = false, verdict = NULL, exit_code = NULL,
        lane = v_task.lane,
        finished_at = NULL, deadline_at = CASE WHEN deadline_at > now() THEN deadline_at END
    WHERE task_id = p_task;
    INSERT INTO sandboxd.task_ready (lane, rank, task_id, fence, attempt)
    VALUES (v_task.lane, v_task.rank, p_task, v_task.last_fence + 1, 1);
    -- An approval stays one for what it was given to; without one it is asked for again.
    IF NOT EXISTS (SELECT FROM sandboxd.approvals a WHERE a.task_id = p_task
        AND a.decision = 'approved') THEN
        PERFORM sandboxd.hold_for_approval(ARRAY[p_task], p_since => v_since);
    END IF;
    IF sandboxd.is_held(p_task) THEN
        RETURN 'awaiting_approval';
    END IF;
    PERFORM sandboxd.wake();
    RETURN 'ready';
END
$$;
