-- SPDX-License-Identifier: Apache-2.0
--
-- What keeps the tables honest while workers come and go. Every function may be called by several
-- nodes at once.

-- Takes away the leases of workers that are over: retired, or silent. Silent are those in p_silent, which
-- the caller has watched not to beat for long enough by his own clock, if they still have the count of
-- heartbeats that he saw (p_beats). Who watches nobody leaves both out: then a worker is silent when its
-- lease is past by the server's clock, by which all are when somebody sets it forward. What the lost
-- attempts used is what their last heartbeat said. Answers those it settled.
CREATE FUNCTION sandboxd.sweep(
    p_limit int DEFAULT 1000, p_silent int[] DEFAULT NULL, p_beats bigint[] DEFAULT NULL
) RETURNS TABLE (task_id bigint, fence int, state smallint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_tasks bigint[];
    v_fences int[];
    v_cpu_ms bigint[];
    v_memory_mib_s bigint[];
    v_wall_ms bigint[];
    v_egress_bytes bigint[];
BEGIN
    -- From here on none of them beats or leases again.
    UPDATE sandboxd.workers w SET retired = true, waiting = false
    WHERE w.worker_id IN (
        SELECT o.worker_id FROM sandboxd.workers o
        WHERE NOT o.retired AND CASE WHEN p_silent IS NULL THEN o.lease_until < now() ELSE EXISTS (
            SELECT FROM unnest(p_silent, p_beats) AS s (worker_id, beats)
            WHERE s.worker_id = o.worker_id AND s.beats = o.beats) END
        FOR UPDATE SKIP LOCKED);
    SELECT array_agg(l.task_id), array_agg(l.fence), array_agg(l.beat_cpu_ms),
        array_agg(l.beat_memory_mib_s), array_agg(l.beat_wall_ms), array_agg(l.beat_egress_bytes)
    INTO v_tasks, v_fences, v_cpu_ms, v_memory_mib_s, v_wall_ms, v_egress_bytes
    FROM (
        SELECT l.* FROM sandboxd.task_leases l
        WHERE l.worker_id IN (SELECT w.worker_id FROM sandboxd.workers w WHERE w.retired)
        ORDER BY l.task_id LIMIT p_limit FOR UPDATE OF l SKIP LOCKED
    ) AS l;
    IF v_tasks IS NOT NULL THEN
        RETURN QUERY SELECT * FROM sandboxd.settle(v_tasks, v_fences,
            array_fill('lease_lost'::text, ARRAY[cardinality(v_tasks)]),
            array_fill(NULL::int, ARRAY[cardinality(v_tasks)]),
            v_cpu_ms, v_memory_mib_s, v_wall_ms, v_egress_bytes,
            array_fill('heartbeat'::text, ARRAY[cardinality(v_tasks)]),
            array_fill(NULL::text, ARRAY[cardinality(v_tasks)]));
        -- What the lost attempts had reserved may pay for others now.
        PERFORM sandboxd.wake();
    END IF;
END
$$;

-- Makes tasks ready whose time has come, in the pools where they belong by then. Answers how many. Who
-- has a task in hand that is to change its pool is not waited for: that one becomes ready a call later.
CREATE FUNCTION sandboxd.promote(p_limit int DEFAULT 1000) RETURNS int
LANGUAGE plpgsql
SET enable_seqscan = off
AS $$
DECLARE
    v_count int;
    v_moved bigint[];
BEGIN
    WITH due AS MATERIALIZED (
        SELECT d.ctid AS at, d.task_id FROM sandboxd.task_delayed d WHERE d.run_at <= now()
        ORDER BY d.run_at LIMIT p_limit FOR UPDATE SKIP LOCKED
    ), strays AS MATERIALIZED (
        SELECT d.at, a.task_id, a.home FROM due d JOIN sandboxd.astray a ON a.task_id = d.task_id
    ), held AS MATERIALIZED (
        SELECT s.* FROM strays s JOIN sandboxd.tasks t ON t.task_id = s.task_id
        FOR NO KEY UPDATE OF t SKIP LOCKED
    ), moved AS (
        UPDATE sandboxd.tasks t SET lane = h.home FROM held h WHERE t.task_id = h.task_id
    ), gone AS (
        DELETE FROM sandboxd.task_delayed WHERE ctid = ANY (ARRAY(
            (SELECT d.at FROM due d EXCEPT ALL SELECT s.at FROM strays s)
            UNION ALL SELECT h.at FROM held h))
        RETURNING *
    ), placed AS (
        INSERT INTO sandboxd.task_ready (lane, rank, task_id, fence, attempt)
        SELECT coalesce(h.home, g.lane), g.rank, g.task_id, g.fence, g.attempt
        FROM gone g LEFT JOIN held h ON h.task_id = g.task_id ORDER BY g.run_at
    )
    SELECT (SELECT count(*) FROM gone), ARRAY(SELECT h.task_id FROM held h) INTO v_count, v_moved;
    IF cardinality(v_moved) > 0 THEN
        PERFORM sandboxd.drop_shadows(v_moved);
    END IF;
    IF v_count > 0 THEN
        PERFORM sandboxd.wake();
    END IF;
    RETURN v_count;
END
$$;

-- Begins new periods of budgets whose period is over, also of those that nobody leases from.
CREATE FUNCTION sandboxd.roll_budgets() RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_budget int;
BEGIN
    FOR v_budget IN
        SELECT budget_id FROM sandboxd.budgets
        WHERE period <> 'total' AND date_trunc(period, now(), 'UTC') > period_began
        ORDER BY budget_id FOR NO KEY UPDATE SKIP LOCKED
    LOOP
        PERFORM sandboxd.roll_budget(v_budget);
    END LOOP;
END
$$;

-- Removes tasks that ended more than p_keep_days ago, with their keys and their hold on blobs. It
-- looks at p_limit tasks in the order in which they came, beginning after p_after, and answers
-- where the next call goes on: each is short, however much there is. Null at the end, where all
-- that follow are too young, and when another node is just doing the same.
CREATE FUNCTION sandboxd.expire_tasks(
    p_keep_days int, p_after bigint DEFAULT 0, p_limit int DEFAULT 1000
) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    v_before timestamptz := now() - make_interval(days => p_keep_days);
    v_seen record;
    v_gone bigint[];
BEGIN
    IF p_keep_days NOT BETWEEN 1 AND 3650 THEN
        RAISE 'history of % days: give 1 to 3650', p_keep_days USING ERRCODE = 'SB002';
    END IF;
    IF NOT pg_try_advisory_xact_lock(hashtextextended('sandboxd.maintain', 0)) THEN
        RETURN NULL;
    END IF;
    SELECT count(*) AS n, max(t.task_id) AS last, bool_or(t.created_at < v_before) AS is_old,
        array_agg(t.task_id) FILTER (WHERE t.state <> 0 AND t.finished_at < v_before) AS over
    INTO v_seen
    FROM (SELECT * FROM sandboxd.tasks WHERE task_id > p_after ORDER BY task_id LIMIT p_limit) AS t;
    -- Asked again, for somebody may have brought one back meanwhile.
    WITH gone AS (
        DELETE FROM sandboxd.tasks t
        WHERE t.task_id = ANY (v_seen.over) AND t.state <> 0 AND t.finished_at < v_before
        RETURNING t.task_id
    )
    SELECT array_agg(task_id) INTO v_gone FROM gone;
    DELETE FROM sandboxd.task_keys k WHERE k.task_id = ANY (v_gone);
    DELETE FROM sandboxd.task_blobs h WHERE h.task_id = ANY (v_gone);
    RETURN CASE WHEN v_seen.n = p_limit AND v_seen.is_old THEN v_seen.last END;
END
$$;

-- The same for blobs that no task holds. One that was touched within a day stays: somebody may be just
-- about to name it.
CREATE FUNCTION sandboxd.expire_blobs(p_after bytea DEFAULT '', p_limit int DEFAULT 1000) RETURNS bytea
LANGUAGE plpgsql AS $$
DECLARE
    v_seen bytea[];
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('sandboxd.maintain', 0)) THEN
        RETURN NULL;
    END IF;
    v_seen := ARRAY(SELECT b.sha256 FROM sandboxd.blobs b WHERE b.sha256 > p_after
        ORDER BY b.sha256 LIMIT p_limit);
    DELETE FROM sandboxd.blobs b
    WHERE b.sha256 = ANY (v_seen) AND b.touched_at < now() - interval '1 day'
        -- One by one: NOT EXISTS might be planned as a join with all that is held.
        AND (SELECT h.task_id FROM sandboxd.task_blobs h WHERE h.sha256 = b.sha256 LIMIT 1) IS NULL;
    RETURN CASE WHEN cardinality(v_seen) = p_limit THEN v_seen[p_limit] END;
END
$$;

-- Makes the partitions of the next days, drops those older than p_keep_days, and forgets workers
-- that are over for as long. Answers how many partitions it dropped.
CREATE FUNCTION sandboxd.maintain(p_keep_days int DEFAULT 30) RETURNS int
LANGUAGE plpgsql
SET lock_timeout = '500ms'
AS $$
DECLARE
    v_before timestamptz := now() - make_interval(days => p_keep_days);
    v_day date;
    v_name text;
    v_dropped int := 0;
BEGIN
    IF p_keep_days NOT BETWEEN 1 AND 3650 THEN
        RAISE 'history of % days: give 1 to 3650', p_keep_days USING ERRCODE = 'SB002';
    END IF;
    -- One node does it; the others need not wait.
    IF NOT pg_try_advisory_xact_lock(hashtextextended('sandboxd.maintain', 0)) THEN
        RETURN 0;
    END IF;
    -- Usually empty, and a worker is one start of a daemon; but never more than is soon done.
    DELETE FROM sandboxd.task_attempts_rest WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM sandboxd.task_attempts_rest WHERE finished_at < v_before LIMIT 10000));
    DELETE FROM sandboxd.workers WHERE ctid = ANY (ARRAY(
        SELECT w.ctid FROM sandboxd.workers w WHERE w.retired AND w.lease_until < v_before
            AND NOT EXISTS (SELECT FROM sandboxd.task_leases l WHERE l.worker_id = w.worker_id)
        LIMIT 1000 FOR UPDATE SKIP LOCKED));
    -- Last, for this keeps everybody else from the history until the end of the transaction; and only
    -- when it is free at once, for all who settle would stand in line behind us.
    BEGIN
        FOR v_day IN SELECT d::date FROM generate_series(
            (now() AT TIME ZONE 'UTC')::date, (now() AT TIME ZONE 'UTC')::date + 3, interval '1 day') AS d
        LOOP
            v_name := 'task_attempts_' || to_char(v_day, 'YYYYMMDD');
            CONTINUE WHEN to_regclass('sandboxd.' || v_name) IS NOT NULL;
            -- Rows that the rest has taken for that day stay there, and the day with them.
            CONTINUE WHEN EXISTS (SELECT FROM sandboxd.task_attempts_rest
                WHERE finished_at >= v_day::timestamp AT TIME ZONE 'UTC'
                    AND finished_at < (v_day + 1)::timestamp AT TIME ZONE 'UTC');
            EXECUTE format('CREATE TABLE sandboxd.%I PARTITION OF sandboxd.task_attempts '
                'FOR VALUES FROM (%L) TO (%L)', v_name,
                v_day::timestamp AT TIME ZONE 'UTC', (v_day + 1)::timestamp AT TIME ZONE 'UTC');
        END LOOP;
        FOR v_name IN
            SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
            WHERE i.inhparent = 'sandboxd.task_attempts'::regclass
                AND c.relname ~ '^task_attempts_[0-9]{8}$'
                AND to_date(right(c.relname, 8), 'YYYYMMDD') < (now() AT TIME ZONE 'UTC')::date - p_keep_days
        LOOP
            EXECUTE format('DROP TABLE sandboxd.%I', v_name);
            v_dropped := v_dropped + 1;
        END LOOP;
    EXCEPTION WHEN lock_not_available THEN
        RAISE WARNING 'sandboxd: the history is in use, its partitions are left for later: %', SQLERRM;
        v_dropped := 0;
    END;
    RETURN v_dropped;
END
$$;
