-- SPDX-License-Identifier: Apache-2.0
--
-- How workers come, take tasks, and say that they live. SB007: this worker is over.

-- Makes a worker, and ends the node's earlier ones: the caller holds the node's lock, so they are dead.
-- The leases they had are taken away by the sweep, or settled one by one before by who knows better.
CREATE FUNCTION sandboxd.register_worker(
    p_node text, p_ttl_s float8, p_pool text DEFAULT 'sandbox', p_boot_id text DEFAULT NULL,
    p_version text DEFAULT NULL
) RETURNS int
LANGUAGE plpgsql AS $$
DECLARE
    v_worker int;
BEGIN
    IF p_ttl_s NOT BETWEEN 1 AND 3600 THEN
        RAISE 'a lease of % s: give 1 to 3600', p_ttl_s USING ERRCODE = 'SB002';
    END IF;
    UPDATE sandboxd.workers SET retired = true, waiting = false
    WHERE node = p_node AND pool = p_pool AND NOT retired;
    INSERT INTO sandboxd.workers (node, pool, boot_id, version, lease_until, ttl_s)
    VALUES (p_node, p_pool, p_boot_id, p_version, now() + make_interval(secs => p_ttl_s), p_ttl_s)
    RETURNING worker_id INTO v_worker;
    RETURN v_worker;
END
$$;

-- Where the last lease of this session stopped in a lane: everything before has been taken, so that a
-- scan need not step over the dead rows there, which a long transaction elsewhere may keep for hours.
-- It is forgotten twice a second and when nothing is found, because rows can still appear before it:
-- of a higher priority, or of a transaction that commits late.
CREATE FUNCTION sandboxd.cursor_of(p_lane int, OUT rank smallint, OUT seq bigint)
LANGUAGE plpgsql AS $$
DECLARE
    v_parts text[] := string_to_array(current_setting('sandboxd.cursor_' || p_lane, true), ' ');
    v_now float8 := extract(epoch FROM clock_timestamp());
BEGIN
    rank := -32768;
    seq := 0;
    IF v_parts[3]::float8 BETWEEN v_now - 0.5 AND v_now THEN
        rank := v_parts[1];
        seq := v_parts[2];
    END IF;
END
$$;

-- Moves it; the time at which it will be forgotten stays. Nulls forget it.
CREATE FUNCTION sandboxd.move_cursor(p_lane int, p_rank smallint, p_seq bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_parts text[] := string_to_array(current_setting('sandboxd.cursor_' || p_lane, true), ' ');
    v_since float8 := extract(epoch FROM clock_timestamp());
BEGIN
    IF v_parts[3]::float8 BETWEEN v_since - 0.5 AND v_since THEN
        v_since := v_parts[3];
    END IF;
    PERFORM set_config('sandboxd.cursor_' || p_lane,
        coalesce(p_rank || ' ' || p_seq || ' ' || v_since, ''), false);
END
$$;

-- Leases up to p_max tasks that together fit into p_memory_mib, and reserves the worst case of each
-- from its budget, never past a cap. Lanes are served in turn, beginning after p_after_lane. On its way
-- it ends tasks that were cancelled while they waited, or are past their deadline, or that a budget
-- which rejects cannot pay any more.
CREATE FUNCTION sandboxd.lease(
    p_worker int, p_max int, p_memory_mib bigint DEFAULT 4611686018427387904,
    p_after_lane int DEFAULT 0
) RETURNS TABLE (
    task_id bigint, fence int, attempt smallint, attempt_id uuid, lane int, budget text, profile text,
    spec jsonb, deadline_at timestamptz, memory_mib bigint
)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    v_worker record;
    v_lane record;
    v_cursor record;
    v_row record;
    v_pick record;
    v_rank smallint;
    v_seq bigint;
    v_left int := p_max;
    v_limit int;
    v_over int;
    v_before int;
    v_stays boolean;
    v_memory bigint := p_memory_mib;
    v_busy boolean := false;
    v_holds boolean := false;
    b sandboxd.budgets;
BEGIN
    SELECT w.pool, w.retired, c.admits AND NOT w.draining AND w.lease_until >= now() AS admits
    INTO v_worker
    FROM sandboxd.workers w, sandboxd.control c WHERE w.worker_id = p_worker AND c.one;
    IF NOT FOUND OR v_worker.retired THEN
        RAISE 'worker % is over', p_worker USING ERRCODE = 'SB007';
    END IF;
    IF NOT v_worker.admits OR p_max < 1 THEN
        RETURN;
    END IF;
    -- A budget that another node leases from just now is waited for only when no other lane has
    -- anything, and never by who holds one already: nobody waits in a circle.
    FOR v_pass IN 1..2 LOOP
        FOR v_lane IN
            SELECT l.lane, l.budget_id FROM sandboxd.lanes l WHERE l.pool = v_worker.pool
            ORDER BY l.lane <= p_after_lane, l.lane
        LOOP
            EXIT WHEN v_left < 1;
            v_cursor := sandboxd.cursor_of(v_lane.lane);
            PERFORM FROM sandboxd.task_ready r WHERE r.lane = v_lane.lane
                AND (r.rank, r.seq) > (v_cursor.rank, v_cursor.seq)
                ORDER BY r.lane, r.rank, r.seq LIMIT 1;
            IF NOT FOUND THEN
                CONTINUE WHEN v_cursor.seq = 0;
                PERFORM sandboxd.move_cursor(v_lane.lane, NULL, NULL);
                v_cursor := sandboxd.cursor_of(v_lane.lane);
                PERFORM FROM sandboxd.task_ready r WHERE r.lane = v_lane.lane
                    ORDER BY r.lane, r.rank, r.seq LIMIT 1;
                CONTINUE WHEN NOT FOUND;
            END IF;
            IF v_pass = 1 OR v_holds THEN
                SELECT * INTO b FROM sandboxd.budgets g WHERE g.budget_id = v_lane.budget_id
                FOR NO KEY UPDATE SKIP LOCKED;
                IF NOT FOUND THEN
                    v_busy := true;
                    CONTINUE;
                END IF;
            ELSE
                SELECT * INTO b FROM sandboxd.budgets g WHERE g.budget_id = v_lane.budget_id
                FOR NO KEY UPDATE;
            END IF;
            v_holds := true;
            CONTINUE WHEN b.paused;
            IF b.period <> 'total' AND date_trunc(b.period, now(), 'UTC') > b.period_began THEN
                PERFORM sandboxd.roll_budget(b.budget_id);
                SELECT * INTO b FROM sandboxd.budgets g WHERE g.budget_id = v_lane.budget_id;
            END IF;

            -- The usual case, in few steps: all that is picked is wanted, fits, and can be paid.
            SELECT count(*) AS n, array_agg(p.at) AS ats, array_agg(p.task_id) AS tasks,
                array_agg(p.fence) AS fences, array_agg(p.attempt) AS attempts,
                array_agg(p.rank) AS ranks, array_agg(p.seq) AS seqs,
                min(p.rank) AS first_rank, max(p.rank) AS last_rank, max(p.seq) AS last_seq,
                array_agg(m.nanos) AS moneys, array_agg(gen_random_uuid()) AS ids,
                array_agg(t.profile) AS profiles, array_agg(t.spec) AS specs,
                array_agg(t.deadline_at) AS deadlines, array_agg(t.memory_mib) AS sizes,
                sum(t.cpu_ms) AS cpu_ms, sum(t.memory_mib_s) AS memory_mib_s,
                sum(t.wall_ms) AS wall_ms, sum(t.egress_bytes) AS egress_bytes,
                sum(m.nanos) AS money_nanos, sum(t.memory_mib) AS memory_mib,
                bool_or(t.cancel_requested OR coalesce(t.deadline_at <= now(), false)) AS is_over
            INTO v_pick
            FROM (
                SELECT r.ctid AS at, r.task_id, r.fence, r.attempt, r.rank, r.seq
                FROM sandboxd.task_ready r
                WHERE r.lane = v_lane.lane AND (r.rank, r.seq) > (v_cursor.rank, v_cursor.seq)
                ORDER BY r.lane, r.rank, r.seq LIMIT v_left
                FOR UPDATE SKIP LOCKED
            ) AS p JOIN sandboxd.tasks t ON t.task_id = p.task_id,
            LATERAL (SELECT sandboxd.money(t.cpu_ms, t.memory_mib_s, 1, t.egress_bytes,
                b.price_cpu_s, b.price_memory_gib_s, b.price_run, b.price_egress_gib) AS nanos) AS m;
            CONTINUE WHEN v_pick.n = 0;
            -- A comparison with a cap that is null is null: no objection.
            IF NOT v_pick.is_over AND v_pick.memory_mib <= v_memory
                AND (v_pick.cpu_ms <= b.cpu_ms_cap - b.cpu_ms_used - b.cpu_ms_reserved) IS NOT FALSE
                AND (v_pick.memory_mib_s <= b.memory_mib_s_cap - b.memory_mib_s_used
                    - b.memory_mib_s_reserved) IS NOT FALSE
                AND (v_pick.wall_ms <= b.wall_ms_cap - b.wall_ms_used - b.wall_ms_reserved) IS NOT FALSE
                AND (v_pick.n <= b.runs_cap - b.runs_used - b.runs_reserved) IS NOT FALSE
                AND (v_pick.egress_bytes <= b.egress_bytes_cap - b.egress_bytes_used
                    - b.egress_bytes_reserved) IS NOT FALSE
                AND (v_pick.money_nanos <= b.money_nanos_cap - b.money_nanos_used
                    - b.money_nanos_reserved) IS NOT FALSE
            THEN
                DELETE FROM sandboxd.task_ready r WHERE r.ctid = ANY (v_pick.ats);
                INSERT INTO sandboxd.task_leases (task_id, fence, attempt, attempt_id, worker_id,
                    lane, budget_id, rank, money_nanos)
                SELECT u.task_id, u.fence, u.attempt, u.attempt_id, p_worker, v_lane.lane,
                    v_lane.budget_id, u.rank, u.money_nanos
                FROM unnest(v_pick.tasks, v_pick.fences, v_pick.attempts, v_pick.ids, v_pick.ranks,
                    v_pick.moneys)
                    AS u (task_id, fence, attempt, attempt_id, rank, money_nanos);
                RETURN QUERY
                SELECT u.task_id, u.fence, u.attempt, u.attempt_id, v_lane.lane, b.budget, u.profile,
                    u.spec, u.deadline_at, u.memory_mib
                FROM unnest(v_pick.tasks, v_pick.fences, v_pick.attempts, v_pick.ids, v_pick.ranks,
                    v_pick.seqs, v_pick.profiles, v_pick.specs, v_pick.deadlines, v_pick.sizes)
                    AS u (task_id, fence, attempt, attempt_id, rank, seq, profile, spec, deadline_at,
                        memory_mib)
                ORDER BY u.rank, u.seq;
                UPDATE sandboxd.budgets g SET cpu_ms_reserved = g.cpu_ms_reserved + v_pick.cpu_ms,
                    memory_mib_s_reserved = g.memory_mib_s_reserved + v_pick.memory_mib_s,
                    wall_ms_reserved = g.wall_ms_reserved + v_pick.wall_ms,
                    runs_reserved = g.runs_reserved + v_pick.n,
                    egress_bytes_reserved = g.egress_bytes_reserved + v_pick.egress_bytes,
                    money_nanos_reserved = g.money_nanos_reserved + v_pick.money_nanos
                WHERE g.budget_id = v_lane.budget_id;
                v_left := v_left - v_pick.n;
                v_memory := v_memory - v_pick.memory_mib;
                v_rank := v_pick.last_rank;
                v_seq := v_pick.last_seq;
                IF v_pick.first_rank < v_rank THEN
                    SELECT max(u.seq) INTO v_seq
                    FROM unnest(v_pick.ranks, v_pick.seqs) AS u (rank, seq) WHERE u.rank = v_rank;
                END IF;
                PERFORM sandboxd.move_cursor(v_lane.lane, v_rank, v_seq);
                CONTINUE;
            END IF;

            -- Otherwise one by one. Again, in larger steps, as long as all it meets is over: a
            -- node that finds nothing takes a rest, and must not have to rest once for each handful of
            -- cancelled tasks.
            v_rank := NULL;
            v_stays := false;
            v_limit := v_left;
            v_over := 0;
            LOOP
                v_before := v_over;
                FOR v_row IN
                    WITH pick AS MATERIALIZED (
                        SELECT r.ctid AS at, r.task_id, r.fence, r.attempt, r.rank, r.seq
                        FROM sandboxd.task_ready r
                        WHERE r.lane = v_lane.lane AND (r.rank, r.seq) > (v_cursor.rank, v_cursor.seq)
                        ORDER BY r.lane, r.rank, r.seq LIMIT v_limit
                        FOR UPDATE SKIP LOCKED
                    ), priced AS MATERIALIZED (
                        SELECT p.*, t.profile, t.spec, t.deadline_at, t.memory_mib, t.cancel_requested,
                            t.cpu_ms, t.memory_mib_s, t.wall_ms, t.egress_bytes,
                            sandboxd.money(t.cpu_ms, t.memory_mib_s, 1, t.egress_bytes, b.price_cpu_s,
                                b.price_memory_gib_s, b.price_run, b.price_egress_gib) AS money_nanos
                        FROM pick p JOIN sandboxd.tasks t ON t.task_id = p.task_id
                    ), asked AS (
                        -- What is over takes no room from what comes after it.
                        SELECT q.*,
                            CASE WHEN q.cancel_requested THEN 3 WHEN q.deadline_at <= now() THEN 6
                            -- Not even when everything that is reserved came back unused.
                            WHEN b.on_exhausted = 'reject' AND NOT (
                                coalesce(q.cpu_ms <= b.cpu_ms_cap - b.cpu_ms_used, true)
                                AND coalesce(
                                    q.memory_mib_s <= b.memory_mib_s_cap - b.memory_mib_s_used, true)
                                AND coalesce(q.wall_ms <= b.wall_ms_cap - b.wall_ms_used, true)
                                AND coalesce(1 <= b.runs_cap - b.runs_used, true)
                                AND coalesce(
                                    q.egress_bytes <= b.egress_bytes_cap - b.egress_bytes_used, true)
                                AND coalesce(q.money_nanos <= b.money_nanos_cap - b.money_nanos_used, true)
                            ) THEN 5 END AS over
                        FROM priced q
                    ), summed AS (
                        SELECT a.*,
                            sum(a.cpu_ms) FILTER (WHERE over IS NULL) OVER w AS s_cpu_ms,
                            sum(a.memory_mib_s) FILTER (WHERE over IS NULL) OVER w AS s_memory_mib_s,
                            sum(a.wall_ms) FILTER (WHERE over IS NULL) OVER w AS s_wall_ms,
                            count(*) FILTER (WHERE over IS NULL) OVER w AS s_runs,
                            sum(a.egress_bytes) FILTER (WHERE over IS NULL) OVER w AS s_egress_bytes,
                            sum(a.money_nanos) FILTER (WHERE over IS NULL) OVER w AS s_money_nanos,
                            sum(a.memory_mib) FILTER (WHERE over IS NULL) OVER w AS s_memory_mib
                        FROM asked a WINDOW w AS (ORDER BY a.rank, a.seq)
                    ), judged AS (
                        SELECT s.*,
                            -- A comparison with a cap that is null is null: no objection.
                            s.s_runs <= v_left AND s.s_memory_mib <= v_memory
                            AND coalesce(
                                s.s_cpu_ms <= b.cpu_ms_cap - b.cpu_ms_used - b.cpu_ms_reserved, true)
                            AND coalesce(s.s_memory_mib_s <= b.memory_mib_s_cap - b.memory_mib_s_used
                                - b.memory_mib_s_reserved, true)
                            AND coalesce(
                                s.s_wall_ms <= b.wall_ms_cap - b.wall_ms_used - b.wall_ms_reserved, true)
                            AND coalesce(s.s_runs <= b.runs_cap - b.runs_used - b.runs_reserved, true)
                            AND coalesce(s.s_egress_bytes <= b.egress_bytes_cap - b.egress_bytes_used
                                - b.egress_bytes_reserved, true)
                            AND coalesce(s.s_money_nanos <= b.money_nanos_cap - b.money_nanos_used
                                - b.money_nanos_reserved, true)
                            AS fits
                        FROM summed s
                    ), decided AS MATERIALIZED (
                        -- The new state of a task that ends here, 0 for a lease, -1 for one that stays.
                        SELECT j.*, CASE WHEN j.over IS NOT NULL THEN j.over WHEN j.fits THEN 0 ELSE -1
                            END AS fate
                        FROM judged j
                    ), taken AS (
                        DELETE FROM sandboxd.task_ready
                        WHERE ctid = ANY (ARRAY(SELECT at FROM decided WHERE fate >= 0))
                    ), ended AS (
                        UPDATE sandboxd.tasks t SET state = d.fate, finished_at = now(),
                            verdict = CASE d.fate WHEN 5 THEN 'budget' WHEN 3 THEN 'cancelled' END
                        FROM decided d WHERE d.fate > 0 AND t.task_id = d.task_id
                    ), leased AS (
                        INSERT INTO sandboxd.task_leases (task_id, fence, attempt, attempt_id, worker_id,
                            lane, budget_id, rank, money_nanos)
                        SELECT d.task_id, d.fence, d.attempt, gen_random_uuid(), p_worker, v_lane.lane,
                            b.budget_id, d.rank, d.money_nanos
                        FROM decided d WHERE d.fate = 0
                        RETURNING task_id, attempt_id
                    )
                    SELECT d.*, l.attempt_id FROM decided d LEFT JOIN leased l ON l.task_id = d.task_id
                    ORDER BY d.rank, d.seq
                LOOP
                    -- What stays ends what the cursor may pass.
                    v_stays := v_row.fate < 0;
                    EXIT WHEN v_stays;
                    v_rank := v_row.rank;
                    v_seq := v_row.seq;
                    IF v_row.fate > 0 THEN
                        v_over := v_over + 1;
                        CONTINUE;
                    END IF;
                    task_id := v_row.task_id;
                    fence := v_row.fence;
                    attempt := v_row.attempt;
                    attempt_id := v_row.attempt_id;
                    lane := v_lane.lane;
                    budget := b.budget;
                    profile := v_row.profile;
                    spec := v_row.spec;
                    deadline_at := v_row.deadline_at;
                    memory_mib := v_row.memory_mib;
                    RETURN NEXT;
                    v_left := v_left - 1;
                    v_memory := v_memory - v_row.memory_mib;
                    b.cpu_ms_reserved := b.cpu_ms_reserved + v_row.cpu_ms;
                    b.memory_mib_s_reserved := b.memory_mib_s_reserved + v_row.memory_mib_s;
                    b.wall_ms_reserved := b.wall_ms_reserved + v_row.wall_ms;
                    b.runs_reserved := b.runs_reserved + 1;
                    b.egress_bytes_reserved := b.egress_bytes_reserved + v_row.egress_bytes;
                    b.money_nanos_reserved := b.money_nanos_reserved + v_row.money_nanos;
                END LOOP;
                EXIT WHEN v_stays OR v_left < 1 OR v_over = v_before OR v_over > 10000;
                v_cursor.rank := v_rank;
                v_cursor.seq := v_seq;
                v_limit := 200;
            END LOOP;
            CONTINUE WHEN v_rank IS NULL;
            PERFORM sandboxd.move_cursor(v_lane.lane, v_rank, v_seq);
            UPDATE sandboxd.budgets g SET cpu_ms_reserved = b.cpu_ms_reserved,
                memory_mib_s_reserved = b.memory_mib_s_reserved,
                wall_ms_reserved = b.wall_ms_reserved, runs_reserved = b.runs_reserved,
                egress_bytes_reserved = b.egress_bytes_reserved,
                money_nanos_reserved = b.money_nanos_reserved
            WHERE g.budget_id = b.budget_id;
        END LOOP;
        EXIT WHEN v_left < p_max OR NOT v_busy;
    END LOOP;
END
$$;

-- A direct run: a task that is leased as it comes, by a worker who has it in hand already. Reserves
-- like a lease; refuses (SB004) what the budget cannot pay now, naming the unit. A key that is known
-- answers that task, with a fence of null.
CREATE FUNCTION sandboxd.begin_run(
    p_worker int, p_attempt_id uuid, p_profile text, p_spec jsonb, p_budget text, p_key text,
    p_cpu_ms bigint, p_wall_ms bigint, p_memory_mib bigint, p_egress_bytes bigint
) RETURNS TABLE (task_id bigint, fence int)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    b sandboxd.budgets;
    v_task bigint;
    v_known record;
    v_unit record;
    v_sha256 bytea;
    v_lane int;
    v_memory_mib_s bigint := ceil(p_memory_mib::numeric * p_wall_ms / 1000);
    v_money bigint;
BEGIN
    PERFORM FROM sandboxd.workers w WHERE w.worker_id = p_worker AND NOT w.retired;
    IF NOT FOUND THEN
        RAISE 'worker % is over', p_worker USING ERRCODE = 'SB007';
    END IF;
    IF length(p_key) NOT BETWEEN 1 AND 200 THEN
        RAISE '''key'' has % characters: give 1 to 200', length(p_key) USING ERRCODE = 'SB002';
    END IF;
    v_task := nextval(pg_get_serial_sequence('sandboxd.tasks', 'task_id'));
    IF p_key IS NOT NULL THEN
        v_sha256 := sha256(convert_to(jsonb_build_array(p_profile, p_spec)::text, 'UTF8'));
        INSERT INTO sandboxd.task_keys (key, task_id, spec_sha256) VALUES (p_key, v_task, v_sha256)
        ON CONFLICT DO NOTHING;
        IF NOT FOUND THEN
            SELECT * INTO v_known FROM sandboxd.task_keys k WHERE k.key = p_key;
            IF v_known.spec_sha256 <> v_sha256 THEN
                RAISE 'the key ''%'' belongs to task %, which asks for something else', p_key,
                    v_known.task_id USING ERRCODE = 'SB003';
            END IF;
            task_id := v_known.task_id;
            RETURN NEXT;
            RETURN;
        END IF;
    END IF;
    SELECT * INTO b FROM sandboxd.budgets g WHERE g.budget = p_budget FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE 'there is no budget ''%''', left(p_budget, 64) USING ERRCODE = 'SB006',
            HINT = 'Make it first: sandboxd budget set.';
    END IF;
    IF b.period <> 'total' AND date_trunc(b.period, now(), 'UTC') > b.period_began THEN
        PERFORM sandboxd.roll_budget(b.budget_id);
        SELECT * INTO b FROM sandboxd.budgets g WHERE g.budget_id = b.budget_id;
    END IF;
    IF b.paused THEN
        RAISE 'budget ''%'' is paused', p_budget USING ERRCODE = 'SB004';
    END IF;
    v_money := sandboxd.money(p_cpu_ms, v_memory_mib_s, 1, p_egress_bytes, b.price_cpu_s,
        b.price_memory_gib_s, b.price_run, b.price_egress_gib);
    SELECT * INTO v_unit FROM (VALUES
        ('cpu_ms', p_cpu_ms, b.cpu_ms_cap, b.cpu_ms_used, b.cpu_ms_reserved),
        ('memory_mib_s', v_memory_mib_s, b.memory_mib_s_cap, b.memory_mib_s_used,
            b.memory_mib_s_reserved),
        ('wall_ms', p_wall_ms, b.wall_ms_cap, b.wall_ms_used, b.wall_ms_reserved),
        ('runs', 1, b.runs_cap, b.runs_used, b.runs_reserved),
        ('egress_bytes', p_egress_bytes, b.egress_bytes_cap, b.egress_bytes_used,
            b.egress_bytes_reserved),
        ('money_nanos', v_money, b.money_nanos_cap, b.money_nanos_used, b.money_nanos_reserved)
    ) AS u (unit, asked, cap, used, reserved)
    WHERE u.asked > u.cap - u.used - u.reserved LIMIT 1;
    IF FOUND THEN
        RAISE 'budget ''%'' has % % left (% of % used, % reserved), and the run reserves %', p_budget,
            v_unit.cap - v_unit.used - v_unit.reserved, v_unit.unit, v_unit.used, v_unit.cap,
            v_unit.reserved, v_unit.asked USING ERRCODE = 'SB004';
    END IF;
    v_lane := sandboxd.lane_of(b.budget_id, 'sandbox');
    INSERT INTO sandboxd.tasks (task_id, lane, profile, max_attempts, cpu_ms, memory_mib_s, wall_ms,
        egress_bytes, memory_mib, spec)
    OVERRIDING SYSTEM VALUE
    VALUES (v_task, v_lane, p_profile, 1, p_cpu_ms, v_memory_mib_s, p_wall_ms, p_egress_bytes,
        p_memory_mib, p_spec);
    INSERT INTO sandboxd.task_leases (task_id, fence, attempt, attempt_id, worker_id, lane, budget_id,
        rank, money_nanos)
    VALUES (v_task, 1, 1, p_attempt_id, p_worker, v_lane, b.budget_id, 0, v_money);
    UPDATE sandboxd.budgets g SET cpu_ms_reserved = cpu_ms_reserved + p_cpu_ms,
        memory_mib_s_reserved = memory_mib_s_reserved + v_memory_mib_s,
        wall_ms_reserved = wall_ms_reserved + p_wall_ms, runs_reserved = runs_reserved + 1,
        egress_bytes_reserved = egress_bytes_reserved + p_egress_bytes,
        money_nanos_reserved = money_nanos_reserved + v_money
    WHERE g.budget_id = b.budget_id;
    task_id := v_task;
    fence := 1;
    RETURN NEXT;
END
$$;

-- Says that a worker lives for another p_ttl_s seconds, and what its leases have used so far. Answers
-- which of them to end, and why: 'lost' when the lease is no longer his, 'cancel' when somebody wants
-- the task to end. One answer with a null task and 'over': the worker itself is, with all it has.
CREATE FUNCTION sandboxd.heartbeat(
    p_worker int, p_ttl_s float8, p_tasks bigint[], p_fences int[], p_cpu_ms bigint[],
    p_memory_mib_s bigint[], p_wall_ms bigint[], p_egress_bytes bigint[]
) RETURNS TABLE (task_id bigint, fence int, why text)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
#variable_conflict use_column
BEGIN
    UPDATE sandboxd.workers SET lease_until = now() + make_interval(secs => p_ttl_s), ttl_s = p_ttl_s,
        beats = beats + 1
    WHERE worker_id = p_worker AND NOT retired;
    IF NOT FOUND THEN
        RETURN QUERY SELECT NULL::bigint, NULL::int, 'over';
        RETURN;
    END IF;
    -- Waits for nobody: a lease that is being settled just now needs no figures any more.
    UPDATE sandboxd.task_leases l SET beat_cpu_ms = u.cpu_ms, beat_memory_mib_s = u.memory_mib_s,
        beat_wall_ms = u.wall_ms, beat_egress_bytes = u.egress_bytes
    FROM unnest(p_tasks, p_fences, p_cpu_ms, p_memory_mib_s, p_wall_ms, p_egress_bytes)
        AS u (task_id, fence, cpu_ms, memory_mib_s, wall_ms, egress_bytes)
    WHERE l.task_id = u.task_id AND l.fence = u.fence AND l.task_id = ANY (ARRAY(
        SELECT o.task_id FROM sandboxd.task_leases o
        WHERE o.task_id = ANY (p_tasks) AND o.worker_id = p_worker FOR NO KEY UPDATE SKIP LOCKED));
    RETURN QUERY
    SELECT u.task_id, u.fence, CASE WHEN l.task_id IS NULL THEN 'lost' ELSE 'cancel' END
    FROM unnest(p_tasks, p_fences) AS u (task_id, fence)
    LEFT JOIN sandboxd.task_leases l
        ON l.task_id = u.task_id AND l.fence = u.fence AND l.worker_id = p_worker
    LEFT JOIN sandboxd.tasks t ON t.task_id = l.task_id
    WHERE l.task_id IS NULL OR t.cancel_requested;
END
$$;

-- Says that a worker has nothing to do, or has again. Who waits is told when something comes.
CREATE FUNCTION sandboxd.set_waiting(p_worker int, p_waiting boolean) RETURNS void
LANGUAGE sql AS $$
    UPDATE sandboxd.workers SET waiting = p_waiting
    WHERE worker_id = p_worker AND waiting <> p_waiting
$$;

-- Lets a worker take no new tasks, or take them again.
CREATE FUNCTION sandboxd.drain(p_worker int, p_draining boolean DEFAULT true) RETURNS void
LANGUAGE sql AS $$
    UPDATE sandboxd.workers SET draining = p_draining WHERE worker_id = p_worker
$$;
