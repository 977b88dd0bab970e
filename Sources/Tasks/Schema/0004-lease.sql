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

-- Takes a budget in hand until the end of the transaction, and begins its new period if it is time.
-- Answers whether there is leasing from it, which is not so when it is paused; null when somebody else
-- has it and p_waits is false.
CREATE FUNCTION sandboxd.hold_budget(p_budget_id int, p_waits boolean) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    v_paused boolean;
BEGIN
    IF p_waits THEN
        SELECT g.paused INTO v_paused FROM sandboxd.budgets g WHERE g.budget_id = p_budget_id
        FOR NO KEY UPDATE;
    ELSE
        SELECT g.paused INTO v_paused FROM sandboxd.budgets g WHERE g.budget_id = p_budget_id
        FOR NO KEY UPDATE SKIP LOCKED;
    END IF;
    IF NOT v_paused THEN
        PERFORM sandboxd.roll_budget(p_budget_id);
    END IF;
    RETURN NOT v_paused;
END
$$;

-- Leases up to p_max tasks that together fit into p_memory_mib, and reserves the worst case of each
-- from its budget, never past a cap. Lanes are served in turn, beginning after p_after_lane. On its way
-- it ends tasks that were cancelled while they waited, or are past their deadline, or that a budget
-- which rejects cannot pay any more.
--
-- Where a session's last lease stopped in a lane is kept in a setting, the lane's cursor: all before it
-- was taken, so that a scan need not step over the dead rows there, which a long transaction elsewhere
-- may keep for hours. It is forgotten after half a second, and when nothing comes behind it, because
-- rows can still appear before it: of a higher priority, or of a transaction that commits late. Its
-- words are: since when (ms), rank, seq, and what memory was left. The last is for the function that
-- set it: a query that returns its rows to the caller has no other way to tell.
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
    v_now constant bigint := date_part('epoch', clock_timestamp()) * 1000;
    v_left int := p_max;
    v_memory bigint := p_memory_mib;
    v_pool text;
    -- Whether some of what waits belongs to another pool by now.
    v_moves boolean;
    v_prefix constant text := sandboxd.attempt_prefix(v_now);
    -- The lanes of one turn: those after v_lane, up to v_until.
    v_lane int;
    v_until int;
    v_is_second_turn boolean;
    v_holds boolean := false;
    v_busy boolean := false;
    -- Of the present lane.
    v_budget_id int;
    v_setting text;
    v_cursor text[];
    v_since bigint;
    v_is_known boolean;
    v_rank smallint;
    v_seq bigint;
    v_room bigint;
    v_is_open boolean;
    v_budget text;
    v_price_cpu_s bigint;
    v_price_memory_gib_s bigint;
    v_price_run bigint;
    v_price_egress_gib bigint;
    v_count int;
BEGIN
    SELECT w.pool, c.moves INTO v_pool, v_moves FROM sandboxd.workers w, sandboxd.control c
    WHERE w.worker_id = p_worker AND NOT w.retired AND NOT w.draining AND w.lease_until >= now()
        AND c.one AND c.admits;
    IF NOT FOUND THEN
        PERFORM FROM sandboxd.workers w WHERE w.worker_id = p_worker AND NOT w.retired;
        IF NOT FOUND THEN
            RAISE 'worker % is over', p_worker USING ERRCODE = 'SB007';
        END IF;
        RETURN;
    END IF;
    -- A budget that another node leases from just now is waited for only when no other lane has
    -- anything, and never by who holds one already: nobody waits in a circle.
    FOR v_pass IN 1..2 LOOP
        v_lane := coalesce(p_after_lane, 0);
        v_until := 2147483647;
        v_is_second_turn := false;
        WHILE v_left > 0 LOOP
            -- The next lane that has a cursor, whose dead rows need not be looked through, or a row.
            SELECT l.lane, l.budget_id INTO v_lane, v_budget_id FROM sandboxd.lanes l
            WHERE l.lane > v_lane AND l.lane <= v_until AND l.pool = v_pool
                AND (current_setting('sandboxd.cursor_' || l.lane, true) <> '' OR (
                    SELECT f.task_id FROM sandboxd.task_ready f WHERE f.lane = l.lane
                    ORDER BY f.lane, f.rank, f.seq LIMIT 1
                ) IS NOT NULL)
            ORDER BY l.lane LIMIT 1;
            IF NOT FOUND THEN
                EXIT WHEN v_is_second_turn;
                v_is_second_turn := true;
                v_lane := 0;
                v_until := coalesce(p_after_lane, 0);
                CONTINUE;
            END IF;
            v_setting := 'sandboxd.cursor_' || v_lane;
            v_cursor := string_to_array(current_setting(v_setting, true), ' ');
            v_since := v_cursor[1];
            v_is_known := coalesce(v_since BETWEEN v_now - 500 AND v_now, false);
            IF v_is_known THEN
                v_rank := v_cursor[2];
                v_seq := v_cursor[3];
            ELSE
                v_since := v_now;
                SELECT f.rank, f.seq - 1 INTO v_rank, v_seq FROM sandboxd.task_ready f
                WHERE f.lane = v_lane ORDER BY f.lane, f.rank, f.seq LIMIT 1;
                IF NOT FOUND THEN
                    PERFORM set_config(v_setting, '', false);
                    CONTINUE;
                END IF;
            END IF;

            -- Rank by rank, from the place where the cursor was or the first row is.
            v_room := v_memory;
            LOOP
                SELECT g.budget, g.price_cpu_s, g.price_memory_gib_s, g.price_run, g.price_egress_gib
                INTO v_budget, v_price_cpu_s, v_price_memory_gib_s, v_price_run, v_price_egress_gib
                FROM sandboxd.budgets g
                WHERE g.budget_id = v_budget_id AND NOT g.paused
                    AND (g.period = 'total' OR date_trunc(g.period, now(), 'UTC') <= g.period_began)
                FOR NO KEY UPDATE SKIP LOCKED;
                IF NOT FOUND THEN
                    v_is_open := sandboxd.hold_budget(v_budget_id, v_pass = 2 AND NOT v_holds);
                    v_busy := v_busy OR v_is_open IS NULL;
                    v_holds := v_holds OR v_is_open IS NOT NULL;
                    EXIT WHEN v_is_open IS NOT TRUE;
                    -- It is held, and in its present period: now it is found.
                    CONTINUE;
                END IF;
                v_holds := true;

                -- The usual case, in one step: all that is picked is wanted, fits, and can be paid.
                -- Otherwise the budget's row is not updated, and nothing else happens. What was picked
                -- comes in the order in which it was picked, for it is written down and read once more.
                RETURN QUERY
                WITH wanted AS MATERIALIZED (
                    SELECT p.at, p.task_id, p.seq, p.fence, p.attempt,
                        sandboxd.attempt_id(v_prefix) AS attempt_id, t.cpu_ms, t.memory_mib_s,
                        t.wall_ms, t.egress_bytes, t.memory_mib,
                        sandboxd.money(t.cpu_ms, t.memory_mib_s, 1, t.egress_bytes, v_price_cpu_s,
                            v_price_memory_gib_s, v_price_run, v_price_egress_gib) AS money_nanos,
                        t.cancel_requested OR t.deadline_at <= now() AS is_over,
                        t.deadline_at, t.profile, t.spec
                    FROM (
                        SELECT r.ctid AS at, r.task_id, r.seq, r.fence, r.attempt
                        FROM sandboxd.task_ready r
                        WHERE NOT v_moves AND r.lane = v_lane AND r.rank = v_rank AND r.seq > v_seq
                        ORDER BY r.lane, r.rank, r.seq LIMIT v_left
                        FOR UPDATE SKIP LOCKED
                    ) AS p JOIN sandboxd.tasks t ON t.task_id = p.task_id
                ), charged AS (
                    UPDATE sandboxd.budgets g SET cpu_ms_reserved = g.cpu_ms_reserved + s.cpu_ms,
                        memory_mib_s_reserved = g.memory_mib_s_reserved + s.memory_mib_s,
                        wall_ms_reserved = g.wall_ms_reserved + s.wall_ms,
                        runs_reserved = g.runs_reserved + s.runs,
                        egress_bytes_reserved = g.egress_bytes_reserved + s.egress_bytes,
                        money_nanos_reserved = g.money_nanos_reserved + s.money_nanos
                    FROM (
                        -- Numbers that may be past what a column holds; those that fit are not.
                        SELECT count(*) AS runs, max(w.seq) AS seq, bool_or(w.is_over) AS is_over,
                            sum(w.cpu_ms) AS cpu_ms, sum(w.memory_mib_s) AS memory_mib_s,
                            sum(w.wall_ms) AS wall_ms, sum(w.egress_bytes) AS egress_bytes,
                            sum(w.money_nanos) AS money_nanos, sum(w.memory_mib) AS memory_mib
                        FROM wanted w
                    ) AS s
                    WHERE g.budget_id = v_budget_id AND s.is_over IS NOT TRUE
                        AND s.memory_mib <= v_memory
                        AND s.cpu_ms <= g.cpu_ms_cap - g.cpu_ms_used - g.cpu_ms_reserved
                        AND s.memory_mib_s
                            <= g.memory_mib_s_cap - g.memory_mib_s_used - g.memory_mib_s_reserved
                        AND s.wall_ms <= g.wall_ms_cap - g.wall_ms_used - g.wall_ms_reserved
                        AND s.runs <= g.runs_cap - g.runs_used - g.runs_reserved
                        AND s.egress_bytes
                            <= g.egress_bytes_cap - g.egress_bytes_used - g.egress_bytes_reserved
                        AND s.money_nanos
                            <= g.money_nanos_cap - g.money_nanos_used - g.money_nanos_reserved
                    RETURNING set_config(v_setting,
                        concat_ws(' ', v_since, v_rank, s.seq, v_memory - s.memory_mib), false)
                ), taken AS (
                    DELETE FROM sandboxd.task_ready WHERE ctid = ANY (ARRAY(
                        SELECT w.at FROM wanted w WHERE EXISTS (SELECT FROM charged)))
                ), leased AS (
                    INSERT INTO sandboxd.task_leases (task_id, fence, attempt, rank, worker_id, lane,
                        budget_id, attempt_id, cpu_ms, memory_mib_s, wall_ms, egress_bytes,
                        money_nanos, price_cpu_s, price_memory_gib_s, price_run, price_egress_gib)
                    SELECT w.task_id, w.fence, w.attempt, v_rank, p_worker, v_lane, v_budget_id,
                        w.attempt_id, w.cpu_ms, w.memory_mib_s, w.wall_ms, w.egress_bytes,
                        w.money_nanos, v_price_cpu_s, v_price_memory_gib_s, v_price_run,
                        v_price_egress_gib
                    FROM wanted w WHERE EXISTS (SELECT FROM charged)
                )
                SELECT w.task_id, w.fence, w.attempt, w.attempt_id, v_lane, v_budget, w.profile,
                    w.spec, w.deadline_at, w.memory_mib
                FROM wanted w WHERE EXISTS (SELECT FROM charged);
                GET DIAGNOSTICS v_count = ROW_COUNT;
                v_left := v_left - v_count;
                EXIT WHEN v_left < 1;
                IF v_count > 0 THEN
                    v_cursor := string_to_array(current_setting(v_setting), ' ');
                    v_seq := v_cursor[3];
                    v_memory := v_cursor[4];
                ELSIF v_moves OR NOT v_is_known THEN
                    RETURN QUERY SELECT * FROM sandboxd.lease_singly(p_worker, v_lane, v_budget_id,
                        v_rank, v_seq, v_left, v_memory, v_room, v_moves, v_prefix, v_setting, v_since);
                    GET DIAGNOSTICS v_count = ROW_COUNT;
                    v_left := v_left - v_count;
                    v_memory := split_part(current_setting(v_setting), ' ', 4);
                    EXIT;
                END IF;
                -- What comes next in the lane; or first, when nothing is behind a cursor.
                SELECT f.rank, f.seq - 1 INTO v_rank, v_seq FROM sandboxd.task_ready f
                WHERE f.lane = v_lane AND (f.rank, f.seq) > (v_rank, v_seq)
                ORDER BY f.lane, f.rank, f.seq LIMIT 1;
                IF NOT FOUND AND v_is_known AND v_count = 0 THEN
                    SELECT f.rank, f.seq - 1 INTO v_rank, v_seq FROM sandboxd.task_ready f
                    WHERE f.lane = v_lane ORDER BY f.lane, f.rank, f.seq LIMIT 1;
                END IF;
                IF NOT FOUND THEN
                    PERFORM set_config(v_setting, '', false);
                    EXIT;
                END IF;
                v_is_known := false;
            END LOOP;
        END LOOP;
        EXIT WHEN v_left < p_max OR NOT v_busy;
    END LOOP;
END
$$;

-- The same for one lane whose budget is held, from behind a rank and a seq on, task by task: some is
-- over, or does not fit, or cannot be paid. A task that alone needs more than p_room, the memory that
-- was left when the lane's turn came, stays, and keeps nobody behind it from being leased. Again, in
-- larger steps, as long as some of what it meets is over: a node that finds nothing takes a rest, and
-- must not have to rest once for each handful of cancelled tasks. Only lease() calls it, under its own
-- settings; p_setting and p_since are of the lane's cursor, which it moves up to the first that stays.
-- While tasks are moved to other pools (p_moves), those that are to go are not even locked, for who moves
-- them passes over what is; and among many of them it looks no further than a step.
CREATE FUNCTION sandboxd.lease_singly(
    p_worker int, p_lane int, p_budget_id int, p_rank smallint, p_seq bigint, p_max int,
    p_memory_mib bigint, p_room bigint, p_moves boolean, p_prefix text, p_setting text, p_since bigint
) RETURNS TABLE (
    task_id bigint, fence int, attempt smallint, attempt_id uuid, lane int, budget text, profile text,
    spec jsonb, deadline_at timestamptz, memory_mib bigint
)
LANGUAGE plpgsql
SET enable_bitmapscan = off
AS $$
#variable_conflict use_column
DECLARE
    b sandboxd.budgets;
    v_row record;
    -- Up to where it has looked, and up to where nothing stays.
    v_rank smallint := p_rank;
    v_seq bigint := p_seq;
    v_passed_rank smallint := p_rank;
    v_passed_seq bigint := p_seq;
    v_stays boolean := false;
    v_is_full boolean := false;
    v_left int := p_max;
    v_memory bigint := p_memory_mib;
    v_limit int := p_max;
    v_over int := 0;
    v_before int;
    -- The next that are where they belong, and the last that was looked at for it.
    v_right bigint[];
    v_last_rank smallint := 32767;
    v_last_seq bigint := 9223372036854775807;
BEGIN
    SELECT * INTO b FROM sandboxd.budgets g WHERE g.budget_id = p_budget_id;
    LOOP
        v_before := v_over;
        IF p_moves THEN
            SELECT coalesce(array_agg(f.seq) FILTER (WHERE f.home IS NULL), '{}'),
                (array_agg(f.rank ORDER BY f.rank DESC, f.seq DESC))[1],
                (array_agg(f.seq ORDER BY f.rank DESC, f.seq DESC))[1]
            INTO v_right, v_last_rank, v_last_seq
            FROM (
                SELECT r.rank, r.seq,
                    (SELECT a.home FROM sandboxd.astray a WHERE a.task_id = r.task_id) AS home
                FROM sandboxd.task_ready r
                WHERE r.lane = p_lane AND (r.rank, r.seq) > (v_rank, v_seq)
                ORDER BY r.lane, r.rank, r.seq LIMIT 200
            ) AS f;
            v_limit := least(v_limit, cardinality(v_right));
            EXIT WHEN v_limit < 1;
        END IF;
        FOR v_row IN
            WITH pick AS MATERIALIZED (
                SELECT r.ctid AS at, r.task_id, r.fence, r.attempt, r.rank, r.seq
                FROM sandboxd.task_ready r
                WHERE r.lane = p_lane AND (r.rank, r.seq) > (v_rank, v_seq)
                    -- Somebody may have taken one of these meanwhile: the scan ends all the same.
                    AND (r.rank, r.seq) <= (v_last_rank, v_last_seq)
                    AND (NOT p_moves OR r.seq = ANY (v_right))
                ORDER BY r.lane, r.rank, r.seq LIMIT v_limit
                FOR UPDATE SKIP LOCKED
            ), priced AS MATERIALIZED (
                SELECT p.*, t.profile, t.spec, t.deadline_at, t.memory_mib, t.cancel_requested,
                    t.cpu_ms, t.memory_mib_s, t.wall_ms, t.egress_bytes,
                    t.memory_mib > p_room AS is_large,
                    sandboxd.money(t.cpu_ms, t.memory_mib_s, 1, t.egress_bytes, b.price_cpu_s,
                        b.price_memory_gib_s, b.price_run, b.price_egress_gib) AS money_nanos
                FROM pick p JOIN sandboxd.tasks t ON t.task_id = p.task_id
            ), asked AS (
                SELECT q.*,
                    CASE WHEN q.cancel_requested THEN 3 WHEN q.deadline_at <= now() THEN 6
                    -- Not even when everything that is reserved came back unused.
                    WHEN b.on_exhausted = 'reject' AND NOT (
                        q.cpu_ms <= b.cpu_ms_cap - b.cpu_ms_used
                        AND q.memory_mib_s <= b.memory_mib_s_cap - b.memory_mib_s_used
                        AND q.wall_ms <= b.wall_ms_cap - b.wall_ms_used
                        AND 1 <= b.runs_cap - b.runs_used
                        AND q.egress_bytes <= b.egress_bytes_cap - b.egress_bytes_used
                        AND q.money_nanos <= b.money_nanos_cap - b.money_nanos_used
                    ) THEN 5 END AS over
                FROM priced q
            ), summed AS (
                -- What is over, and what is too large, takes no room from what comes after it.
                SELECT a.*,
                    sum(a.cpu_ms) FILTER (WHERE a.over IS NULL AND NOT a.is_large) OVER w AS s_cpu_ms,
                    sum(a.memory_mib_s) FILTER (WHERE a.over IS NULL AND NOT a.is_large) OVER w
                        AS s_memory_mib_s,
                    sum(a.wall_ms) FILTER (WHERE a.over IS NULL AND NOT a.is_large) OVER w
                        AS s_wall_ms,
                    count(*) FILTER (WHERE a.over IS NULL AND NOT a.is_large) OVER w AS s_runs,
                    sum(a.egress_bytes) FILTER (WHERE a.over IS NULL AND NOT a.is_large) OVER w
                        AS s_egress_bytes,
                    sum(a.money_nanos) FILTER (WHERE a.over IS NULL AND NOT a.is_large) OVER w
                        AS s_money_nanos,
                    sum(a.memory_mib) FILTER (WHERE a.over IS NULL AND NOT a.is_large) OVER w
                        AS s_memory_mib
                FROM asked a WINDOW w AS (ORDER BY a.rank, a.seq)
            ), decided AS MATERIALIZED (
                -- The new state of a task that ends here, 0 for a lease, -1 for one that stays.
                SELECT s.*, CASE WHEN s.over IS NOT NULL THEN s.over
                    WHEN NOT s.is_large AND s.s_runs <= v_left AND s.s_memory_mib <= v_memory
                        AND s.s_cpu_ms <= b.cpu_ms_cap - b.cpu_ms_used - b.cpu_ms_reserved
                        AND s.s_memory_mib_s
                            <= b.memory_mib_s_cap - b.memory_mib_s_used - b.memory_mib_s_reserved
                        AND s.s_wall_ms <= b.wall_ms_cap - b.wall_ms_used - b.wall_ms_reserved
                        AND s.s_runs <= b.runs_cap - b.runs_used - b.runs_reserved
                        AND s.s_egress_bytes
                            <= b.egress_bytes_cap - b.egress_bytes_used - b.egress_bytes_reserved
                        AND s.s_money_nanos
                            <= b.money_nanos_cap - b.money_nanos_used - b.money_nanos_reserved
                    THEN 0 ELSE -1 END AS fate
                FROM summed s
            ), taken AS (
                DELETE FROM sandboxd.task_ready
                WHERE ctid = ANY (ARRAY(SELECT d.at FROM decided d WHERE d.fate >= 0))
            ), ended AS (
                UPDATE sandboxd.tasks t SET state = d.fate, finished_at = now(),
                    verdict = CASE d.fate WHEN 5 THEN 'budget' WHEN 3 THEN 'cancelled' END
                FROM decided d WHERE d.fate > 0 AND t.task_id = d.task_id
            ), leased AS (
                INSERT INTO sandboxd.task_leases (task_id, fence, attempt, rank, worker_id, lane,
                    budget_id, attempt_id, cpu_ms, memory_mib_s, wall_ms, egress_bytes, money_nanos,
                    price_cpu_s, price_memory_gib_s, price_run, price_egress_gib)
                SELECT d.task_id, d.fence, d.attempt, d.rank, p_worker, p_lane, p_budget_id,
                    sandboxd.attempt_id(p_prefix), d.cpu_ms, d.memory_mib_s, d.wall_ms, d.egress_bytes,
                    d.money_nanos, b.price_cpu_s, b.price_memory_gib_s, b.price_run, b.price_egress_gib
                FROM decided d WHERE d.fate = 0
                RETURNING task_id, attempt_id
            )
            SELECT d.*, l.attempt_id FROM decided d LEFT JOIN leased l ON l.task_id = d.task_id
            ORDER BY d.rank, d.seq
        LOOP
            v_rank := v_row.rank;
            v_seq := v_row.seq;
            IF v_row.fate < 0 THEN
                v_stays := true;
                v_is_full := v_is_full OR NOT v_row.is_large;
                CONTINUE;
            END IF;
            IF NOT v_stays THEN
                v_passed_rank := v_rank;
                v_passed_seq := v_seq;
            END IF;
            IF v_row.fate > 0 THEN
                v_over := v_over + 1;
                CONTINUE;
            END IF;
            task_id := v_row.task_id;
            fence := v_row.fence;
            attempt := v_row.attempt;
            attempt_id := v_row.attempt_id;
            lane := p_lane;
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
        EXIT WHEN v_is_full OR v_left < 1 OR v_over = v_before OR v_over > 10000;
        v_limit := 200;
    END LOOP;
    UPDATE sandboxd.budgets g SET cpu_ms_reserved = b.cpu_ms_reserved,
        memory_mib_s_reserved = b.memory_mib_s_reserved, wall_ms_reserved = b.wall_ms_reserved,
        runs_reserved = b.runs_reserved, egress_bytes_reserved = b.egress_bytes_reserved,
        money_nanos_reserved = b.money_nanos_reserved
    WHERE g.budget_id = p_budget_id AND v_left < p_max;
    PERFORM set_config(p_setting,
        concat_ws(' ', p_since, v_passed_rank, v_passed_seq, v_memory), false);
END
$$;

-- Whether a task has ended, and nothing of its last attempt ever began: its worker did not hear of the
-- lease, for the answer that gave it was lost.
CREATE FUNCTION sandboxd.never_began(p_task bigint) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (SELECT FROM sandboxd.tasks t
        JOIN sandboxd.task_attempts a ON a.task_id = t.task_id AND a.fence = t.last_fence
        WHERE t.task_id = p_task AND t.state <> 0 AND a.charged_from = 'unheard');
END
$$;

-- A direct run: a task that is leased as it comes, by a worker who has it in hand already. Reserves
-- like a lease; refuses (SB004) what the budget cannot pay now, naming the unit. A key that is known
-- answers that task, with a fence of null; unless that one never began: then the key is this run's.
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
    v_reason text;
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
            -- Of several who ask at once, one gets it, and the others hear of that one's task.
            UPDATE sandboxd.task_keys k SET task_id = v_task
            WHERE k.key = p_key AND k.task_id = v_known.task_id
                AND sandboxd.never_began(v_known.task_id);
            IF NOT FOUND THEN
                SELECT k.task_id INTO task_id FROM sandboxd.task_keys k WHERE k.key = p_key;
                RETURN NEXT;
                RETURN;
            END IF;
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
    IF sandboxd.approves_anything() THEN
        v_reason := sandboxd.approval_reason(p_profile, b.budget_id, p_spec, v_money);
    END IF;
    IF v_reason IS NOT NULL THEN
        RAISE 'this run needs an approval: %', v_reason USING ERRCODE = 'SB008',
            HINT = 'Queue it, and have it approved: sandboxd submit, sandboxd approvals.';
    END IF;
    v_lane := sandboxd.lane_of(b.budget_id, 'sandbox');
    INSERT INTO sandboxd.tasks (task_id, lane, profile, max_attempts, cpu_ms, memory_mib_s, wall_ms,
        egress_bytes, memory_mib, spec, is_pinned)
    OVERRIDING SYSTEM VALUE
    VALUES (v_task, v_lane, p_profile, 1, p_cpu_ms, v_memory_mib_s, p_wall_ms, p_egress_bytes,
        p_memory_mib, p_spec, true);
    INSERT INTO sandboxd.task_leases (task_id, fence, attempt, attempt_id, worker_id, lane, budget_id,
        rank, cpu_ms, memory_mib_s, wall_ms, egress_bytes, money_nanos, price_cpu_s,
        price_memory_gib_s, price_run, price_egress_gib)
    VALUES (v_task, 1, 1, p_attempt_id, p_worker, v_lane, b.budget_id, 0, p_cpu_ms, v_memory_mib_s,
        p_wall_ms, p_egress_bytes, v_money, b.price_cpu_s, b.price_memory_gib_s, b.price_run,
        b.price_egress_gib);
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
