-- SPDX-License-Identifier: Apache-2.0
--
-- How work moves from a host to sandboxes and back: which tasks go to which pool, what is compared,
-- and what takes the sandbox's share back by itself.

-- The share of a profile's tasks that goes to the pool 'sandbox'; the others go to 'host'. A profile
-- without a row here has all of them in sandboxes.
CREATE TABLE sandboxd.canaries (
    profile text PRIMARY KEY REFERENCES sandboxd.profiles,
    percent numeric(5, 2) NOT NULL CHECK (percent BETWEEN 0 AND 100),
    -- Whether tasks that go to the host are run in a sandbox too, beside it.
    shadow boolean NOT NULL DEFAULT false,
    -- When more than this share of the last bound_runs went wrong, the percentage becomes 0; null is
    -- never.
    bound_percent numeric(5, 2) CHECK (bound_percent BETWEEN 0 AND 100),
    bound_runs int NOT NULL DEFAULT 20 CHECK (bound_runs BETWEEN 1 AND 10000),
    set_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    rebucketed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- When and why it became 0 by itself; null since it was set again.
    tripped_at timestamptz,
    tripped_why text
);

-- How far rebucket() has got with what waits, after a percentage has changed: which row of a lane, in the
-- order of leases, it looked at last. None that is not done: it is through.
CREATE TABLE sandboxd.canary_moves (
    profile text NOT NULL,
    lane int NOT NULL,
    -- The same budget's lane of the other pool.
    home int NOT NULL,
    rank smallint NOT NULL DEFAULT -32768,
    seq bigint NOT NULL DEFAULT 0,
    looked bigint NOT NULL DEFAULT 0,
    -- Since the percentage changed, however often the lane was looked through.
    moved bigint NOT NULL DEFAULT 0,
    is_done boolean NOT NULL DEFAULT false,
    PRIMARY KEY (profile, lane)
);

-- Runs in sandboxes, of profiles with a canary, as each daemon counts them every few seconds.
CREATE TABLE sandboxd.canary_counts (
    profile text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- When the first of them did: what began before a canary was set says nothing of how it is now.
    began timestamptz NOT NULL DEFAULT clock_timestamp(),
    runs int NOT NULL CHECK (runs > 0),
    failed int NOT NULL,
    -- How many ended with which verdict, of those that failed.
    verdicts jsonb NOT NULL
);
CREATE INDEX canary_counts_at ON sandboxd.canary_counts (profile, at);

-- The same command run twice, and in what the two differ.
CREATE TABLE sandboxd.comparisons (
    comparison_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    profile text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- When the one in the sandbox did.
    began timestamptz NOT NULL DEFAULT clock_timestamp(),
    task_key text,
    counted_place text NOT NULL,
    shadow_place text NOT NULL,
    counted jsonb NOT NULL,
    shadow jsonb NOT NULL,
    differences text[] NOT NULL
);
CREATE INDEX comparisons_at ON sandboxd.comparisons (profile, at);

-- Comparisons that could not be made, because no daemon answered.
CREATE TABLE sandboxd.shadow_misses (
    profile text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    misses int NOT NULL
);

-- Tasks of the host that are run in a sandbox too, until the two are compared.
CREATE TABLE sandboxd.task_shadows (
    task_id bigint PRIMARY KEY,
    shadow_id bigint NOT NULL
);

-- Whether somebody has said which pool a task belongs to: then no canary moves it.
ALTER TABLE sandboxd.tasks ADD COLUMN is_pinned boolean NOT NULL DEFAULT false;

-- The bucket of an id, 0 to 9999: the first eight bytes of its SHA-256 as a number, most significant
-- byte first, modulo 10000. Sources/Client/Canary/Canary.swift and the Python client count the same. One
-- expression, and no more than STABLE, as convert_to is: so it becomes part of the query that has it.
CREATE FUNCTION sandboxd.canary_bucket(p_id text) RETURNS int
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    -- A bigint has a sign: 2^64 is added, and where that was too much the inner modulo takes it away.
    SELECT mod(mod(('x' || encode(substr(sha256(convert_to(p_id, 'UTF8')), 1, 8), 'hex'))::bit(64)::bigint
        + 18446744073709551616, 18446744073709551616), 10000)::int
$$;

-- The pool of an id at a percentage.
CREATE FUNCTION sandboxd.canary_side(p_percent numeric, p_id text) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN p_percent = 0 THEN 'host' WHEN p_percent = 100 THEN 'sandbox'
        WHEN sandboxd.canary_bucket(p_id) < p_percent * 100 THEN 'sandbox' ELSE 'host' END
$$;

-- The pool of a task that nobody has pinned, by its key, or by its number when it has none.
CREATE FUNCTION sandboxd.canary_pool(p_profile text, p_id text) RETURNS text
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN coalesce((SELECT sandboxd.canary_side(c.percent, p_id) FROM sandboxd.canaries c
        WHERE c.profile = p_profile), 'sandbox');
END
$$;

-- Tasks that nobody has pinned and that are not in the pool where they belong by now, beside the lane
-- where they do.
CREATE VIEW sandboxd.astray AS
SELECT t.task_id, t.profile, n.lane AS home
FROM sandboxd.tasks t
JOIN sandboxd.canaries c ON c.profile = t.profile
JOIN sandboxd.lanes l ON l.lane = t.lane
JOIN sandboxd.lanes n ON n.budget_id = l.budget_id AND n.pool <> l.pool
LEFT JOIN sandboxd.task_keys k ON k.task_id = t.task_id
WHERE NOT t.is_pinned
    AND l.pool <> sandboxd.canary_side(c.percent, coalesce(k.key, t.task_id::text));

-- The lane where a task belongs by now; p_lane is where it is.
CREATE FUNCTION sandboxd.home_lane(p_task bigint, p_lane int) RETURNS int
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN coalesce((SELECT a.home FROM sandboxd.astray a WHERE a.task_id = p_task), p_lane);
END
$$;

-- Waits for who sets a percentage, or moves tasks by it, until the end of the transaction: so that none is
-- moved by a percentage that is no more. Who needs it takes it before any row. Without p_waits it answers
-- at once whether it was to be had.
CREATE FUNCTION sandboxd.hold_canaries(p_waits boolean DEFAULT true) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    v_key CONSTANT bigint := hashtextextended('sandboxd.canaries', 0);
BEGIN
    IF NOT p_waits THEN
        RETURN pg_try_advisory_xact_lock(v_key);
    END IF;
    PERFORM pg_advisory_xact_lock(v_key);
    RETURN true;
END
$$;

-- Has rebucket() look through all that waits. Until it is through, no lease takes what belongs elsewhere.
-- The caller holds the canaries.
CREATE FUNCTION sandboxd.begin_rebucket(p_profile text) RETURNS void
LANGUAGE plpgsql
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
BEGIN
    INSERT INTO sandboxd.canary_moves (profile, lane, home)
    SELECT p_profile, l.lane, n.lane
    FROM sandboxd.lanes l JOIN sandboxd.lanes n ON n.budget_id = l.budget_id AND n.pool <> l.pool
    WHERE (SELECT r.task_id FROM sandboxd.task_ready r WHERE r.lane = l.lane
        ORDER BY r.lane, r.rank, r.seq LIMIT 1) IS NOT NULL
    ON CONFLICT (profile, lane) DO UPDATE
    SET rank = DEFAULT, seq = DEFAULT, looked = DEFAULT, is_done = DEFAULT;
    UPDATE sandboxd.control SET moves = true
    WHERE NOT moves AND EXISTS (SELECT FROM sandboxd.canary_moves WHERE NOT is_done);
END
$$;

-- Moves tasks that are ready to the pools where they belong by now, in their order, beginning with what
-- would be leased first, lanes in turn. It looks at p_limit of them, so that each call is short, however
-- much waits; to be called until nothing is left. What somebody has in hand just now is his. What is
-- delayed is placed when its time comes. While another holds the canaries, is_busy, it moves nothing:
-- who waited for him here would keep his connection from others.
CREATE FUNCTION sandboxd.rebucket(p_limit int DEFAULT 1000)
RETURNS TABLE (moved bigint, is_left boolean, is_busy boolean)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    m sandboxd.canary_moves;
    v_left int := p_limit;
    v_step int;
    v_looked int;
    v_rank smallint;
    v_seq bigint;
    v_moved bigint[];
BEGIN
    moved := 0;
    is_left := (SELECT c.moves FROM sandboxd.control c WHERE c.one);
    is_busy := is_left AND NOT sandboxd.hold_canaries(p_waits => false);
    IF is_busy THEN
        RETURN NEXT;
        RETURN;
    END IF;
    WHILE is_left AND v_left > 0 LOOP
        SELECT * INTO m FROM sandboxd.canary_moves o WHERE NOT o.is_done
        ORDER BY o.looked, o.profile, o.lane LIMIT 1;
        IF NOT FOUND THEN
            UPDATE sandboxd.control SET moves = false WHERE one;
            is_left := false;
            EXIT;
        END IF;
        v_step := least(v_left, 250);
        WITH seen AS MATERIALIZED (
            SELECT r.ctid AS at, r.rank, r.seq, r.task_id FROM sandboxd.task_ready r
            WHERE r.lane = m.lane AND (r.rank, r.seq) > (m.rank, m.seq)
            ORDER BY r.lane, r.rank, r.seq LIMIT v_step
        ), held AS MATERIALIZED (
            SELECT r.ctid AS at FROM seen s
            JOIN sandboxd.astray a ON a.task_id = s.task_id AND a.profile = m.profile
            JOIN sandboxd.task_ready r ON r.ctid = s.at
            JOIN sandboxd.tasks t ON t.task_id = s.task_id
            FOR UPDATE OF r SKIP LOCKED FOR NO KEY UPDATE OF t SKIP LOCKED
        ), gone AS (
            DELETE FROM sandboxd.task_ready WHERE ctid = ANY (ARRAY(SELECT h.at FROM held h))
            RETURNING rank, seq, task_id, fence, attempt
        ), placed AS (
            INSERT INTO sandboxd.task_ready (lane, rank, seq, task_id, fence, attempt)
            SELECT m.home, g.rank, g.seq, g.task_id, g.fence, g.attempt FROM gone g
        ), told AS (
            UPDATE sandboxd.tasks t SET lane = m.home FROM gone g WHERE t.task_id = g.task_id
        )
        SELECT count(*), (array_agg(s.rank ORDER BY s.rank DESC, s.seq DESC))[1],
            (array_agg(s.seq ORDER BY s.rank DESC, s.seq DESC))[1], ARRAY(SELECT g.task_id FROM gone g)
        INTO v_looked, v_rank, v_seq, v_moved FROM seen s;
        UPDATE sandboxd.canary_moves o SET rank = coalesce(v_rank, o.rank), seq = coalesce(v_seq, o.seq),
            looked = o.looked + v_looked, moved = o.moved + cardinality(v_moved),
            is_done = v_looked < v_step
        WHERE o.profile = m.profile AND o.lane = m.lane;
        IF cardinality(v_moved) > 0 THEN
            PERFORM sandboxd.drop_shadows(v_moved);
            moved := moved + cardinality(v_moved);
        END IF;
        -- A lane without anything is one look, too.
        v_left := v_left - greatest(v_looked, 1);
    END LOOP;
    IF moved > 0 THEN
        PERFORM sandboxd.wake();
    END IF;
    RETURN NEXT;
END
$$;

-- Sets what p_settings names: percent, shadow, bound_percent (null: none), bound_runs. What went wrong
-- before does not count any more. From its commit on, no lease takes a task by what was set before; what
-- waits is moved by rebucket(), to be called until nothing is left.
CREATE FUNCTION sandboxd.set_canary(p_profile text, p_settings jsonb) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_key text;
    v_value jsonb;
BEGIN
    PERFORM FROM sandboxd.profiles WHERE profile = p_profile;
    IF NOT FOUND THEN
        RAISE 'there is no profile ''%'' (known: %)', left(coalesce(p_profile, ''), 64),
            (SELECT string_agg(profile, ', ' ORDER BY profile) FROM sandboxd.profiles)
            USING ERRCODE = 'SB001';
    END IF;
    IF jsonb_typeof(p_settings) IS DISTINCT FROM 'object' THEN
        RAISE 'a canary''s settings are an object' USING ERRCODE = 'SB002';
    END IF;
    FOR v_key, v_value IN SELECT * FROM jsonb_each(p_settings) LOOP
        IF v_key IN ('percent', 'bound_percent') THEN
            CONTINUE WHEN v_key = 'bound_percent' AND jsonb_typeof(v_value) = 'null';
            IF jsonb_typeof(v_value) NOT IN ('number', 'string')
                OR v_value #>> '{}' !~ '^[0-9]{1,3}([.][0-9]{1,2})?$'
                OR (v_value #>> '{}')::numeric > 100 THEN
                RAISE '''%'' is %: give a percentage from 0 to 100, with at most two digits after the point',
                    v_key, left(v_value::text, 40) USING ERRCODE = 'SB002';
            END IF;
        ELSIF v_key = 'bound_runs' THEN
            IF jsonb_typeof(v_value) <> 'number' OR v_value::text !~ '^[0-9]{1,5}$'
                OR v_value::text::int NOT BETWEEN 1 AND 10000 THEN
                RAISE '''bound_runs'' is %: give a whole number from 1 to 10000', left(v_value::text, 40)
                    USING ERRCODE = 'SB002';
            END IF;
        ELSIF v_key = 'shadow' THEN
            IF jsonb_typeof(v_value) <> 'boolean' THEN
                RAISE '''shadow'' is %: give true or false', left(v_value::text, 40)
                    USING ERRCODE = 'SB002';
            END IF;
        ELSE
            RAISE 'a canary has no setting ''%'' (known: percent, shadow, bound_percent, bound_runs)',
                left(v_key, 40) USING ERRCODE = 'SB002';
        END IF;
    END LOOP;
    PERFORM sandboxd.hold_canaries();
    INSERT INTO sandboxd.canaries AS c (profile, percent, bound_percent) VALUES (p_profile, 100, 20)
    ON CONFLICT DO NOTHING;
    UPDATE sandboxd.canaries SET
        percent = coalesce((p_settings ->> 'percent')::numeric, percent),
        shadow = coalesce((p_settings ->> 'shadow')::boolean, shadow),
        bound_percent = CASE WHEN p_settings ? 'bound_percent'
            THEN (p_settings ->> 'bound_percent')::numeric ELSE bound_percent END,
        bound_runs = coalesce((p_settings ->> 'bound_runs')::int, bound_runs),
        set_at = clock_timestamp(), rebucketed_at = clock_timestamp(), tripped_at = NULL, tripped_why = NULL
    WHERE profile = p_profile;
    IF (SELECT shadow FROM sandboxd.canaries WHERE profile = p_profile) THEN
        -- Shadows have a budget of their own: they must not take from what they are beside.
        INSERT INTO sandboxd.budgets (budget) VALUES ('shadow') ON CONFLICT DO NOTHING;
        PERFORM sandboxd.lane_of(b.budget_id, p.pool)
        FROM sandboxd.budgets b, unnest(ARRAY['sandbox', 'host']) AS p (pool)
        WHERE b.budget = 'shadow';
    END IF;
    DELETE FROM sandboxd.canary_moves WHERE profile = p_profile;
    PERFORM sandboxd.begin_rebucket(p_profile);
END
$$;

-- Takes note of runs in sandboxes: element by element the profile, the verdict, how many, and how many
-- milliseconds before p_moment the first of them began. What is of a profile without a canary is passed
-- over.
CREATE FUNCTION sandboxd.count_canaries(
    p_profiles text[], p_verdicts text[], p_runs int[], p_ages_ms float8[], p_moment timestamptz
) RETURNS void LANGUAGE sql AS $$
    INSERT INTO sandboxd.canary_counts (profile, began, runs, failed, verdicts)
    SELECT s.profile, min(s.began), sum(s.runs), coalesce(sum(s.runs) FILTER (WHERE s.verdict <> 'ok'), 0),
        coalesce(jsonb_object_agg(s.verdict, s.runs) FILTER (WHERE s.verdict <> 'ok'), '{}')
    FROM (
        SELECT c.profile, e.verdict, b.began >= c.set_at AS is_since, min(b.began) AS began,
            sum(e.runs) AS runs
        FROM unnest(p_profiles, p_verdicts, p_runs, p_ages_ms) AS e (profile, verdict, runs, age_ms)
        JOIN sandboxd.canaries c ON c.profile = e.profile
        CROSS JOIN LATERAL (
            SELECT p_moment - make_interval(secs => e.age_ms / 1000) AS began
        ) AS b
        GROUP BY c.profile, e.verdict, is_since
    ) AS s
    GROUP BY s.profile, s.is_since
$$;

-- What went wrong of the runs in sandboxes that were counted since a moment, and of how many: of all, or of
-- the last p_runs to end. p_began leaves out what began before it.
CREATE FUNCTION sandboxd.canary_failures(
    p_profile text, p_since timestamptz, p_runs int DEFAULT NULL, p_began timestamptz DEFAULT '-infinity'
) RETURNS TABLE (runs bigint, failed bigint, verdicts text)
LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
    v_since timestamptz := p_since;
    v_count record;
    v_runs bigint := 0;
BEGIN
    IF p_runs IS NOT NULL THEN
        -- Back from the newest, as far as it takes.
        FOR v_count IN SELECT c.at, c.runs FROM sandboxd.canary_counts c
            WHERE c.profile = p_profile AND c.at >= p_since AND c.began >= p_began
            ORDER BY c.profile DESC, c.at DESC
        LOOP
            v_since := v_count.at;
            v_runs := v_runs + v_count.runs;
            EXIT WHEN v_runs >= p_runs;
        END LOOP;
    END IF;
    RETURN QUERY
    WITH counts AS (
        SELECT * FROM sandboxd.canary_counts c
        WHERE c.profile = p_profile AND c.at >= v_since AND c.began >= p_began
    )
    SELECT coalesce(sum(c.runs), 0), coalesce(sum(c.failed), 0)::bigint, (
        SELECT string_agg(format('%s %s', v.verdict, v.count), ', ' ORDER BY v.count DESC, v.verdict)
        FROM (SELECT e.key AS verdict, sum(e.value::int) AS count
            FROM counts o, jsonb_each_text(o.verdicts) AS e GROUP BY e.key) AS v)
    FROM counts c;
END
$$;

-- Takes the share back of canaries that have gone wrong more often than their bound allows; answers
-- which, and why. For five minutes after a change it also has rebucket() look again, every half a minute,
-- for what an enqueue that was under way then has put into the pool of before.
CREATE FUNCTION sandboxd.check_canaries() RETURNS TABLE (profile text, why text)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    c sandboxd.canaries;
    v_failures record;
    v_runs bigint;
    v_differing bigint;
    v_why text;
BEGIN
    FOR c IN SELECT * FROM sandboxd.canaries o
        WHERE greatest(o.set_at, o.tripped_at) > now() - interval '5 minutes'
            AND o.rebucketed_at < now() - interval '30 seconds'
            AND NOT EXISTS (SELECT FROM sandboxd.canary_moves m
                WHERE m.profile = o.profile AND NOT m.is_done)
    LOOP
        PERFORM sandboxd.hold_canaries();
        -- Unless another node was faster.
        UPDATE sandboxd.canaries o SET rebucketed_at = clock_timestamp()
        WHERE o.profile = c.profile AND o.rebucketed_at = c.rebucketed_at;
        IF FOUND THEN
            PERFORM sandboxd.begin_rebucket(c.profile);
        END IF;
    END LOOP;
    FOR c IN SELECT * FROM sandboxd.canaries o
        WHERE o.bound_percent IS NOT NULL AND o.tripped_at IS NULL AND o.percent > 0
    LOOP
        v_why := NULL;
        SELECT * INTO v_failures FROM sandboxd.canary_failures(c.profile, c.set_at, c.bound_runs,
            c.set_at);
        -- As soon as the rest could not save it.
        IF v_failures.failed * 100 > c.bound_percent * greatest(v_failures.runs, c.bound_runs) THEN
            v_why := format('%s of the last %s runs in the sandbox failed (%s), and %s %% may',
                v_failures.failed, v_failures.runs, v_failures.verdicts, c.bound_percent);
        END IF;
        SELECT count(*), count(*) FILTER (WHERE cardinality(l.differences) > 0)
        INTO v_runs, v_differing FROM (
            SELECT o.differences FROM sandboxd.comparisons o
            WHERE o.profile = c.profile AND o.at >= c.set_at AND o.began >= c.set_at
            ORDER BY o.at DESC LIMIT c.bound_runs
        ) AS l;
        IF v_differing * 100 > c.bound_percent * greatest(v_runs, c.bound_runs) THEN
            v_why := format('%s of the last %s comparisons differ, and %s %% may', v_differing, v_runs,
                c.bound_percent);
        END IF;
        CONTINUE WHEN v_why IS NULL;
        PERFORM sandboxd.hold_canaries();
        -- Unless another node was faster, or somebody has set it anew.
        UPDATE sandboxd.canaries o SET percent = 0, tripped_at = clock_timestamp(),
            rebucketed_at = clock_timestamp(), tripped_why = v_why
        WHERE o.profile = c.profile AND o.set_at = c.set_at AND o.tripped_at IS NULL;
        CONTINUE WHEN NOT FOUND;
        DELETE FROM sandboxd.canary_moves m WHERE m.profile = c.profile;
        PERFORM sandboxd.begin_rebucket(c.profile);
        profile := c.profile;
        why := v_why;
        RETURN NEXT;
    END LOOP;
END
$$;

-- Puts a shadow beside each of these tasks that goes to the host, when its profile's canary wants one:
-- the same task for a sandbox, tried once, at the expense of the budget 'shadow'. One that waits for an
-- approval gets none, nor one whose shadow would need a person's word: nobody is asked about shadows.
CREATE FUNCTION sandboxd.add_shadows(p_tasks bigint[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_lane int;
    v_asks boolean;
    b sandboxd.budgets;
BEGIN
    IF NOT EXISTS (SELECT FROM sandboxd.canaries WHERE shadow) THEN
        RETURN;
    END IF;
    SELECT * INTO b FROM sandboxd.budgets WHERE budget = 'shadow';
    SELECT l.lane INTO v_lane FROM sandboxd.lanes l
    WHERE l.budget_id = b.budget_id AND l.pool = 'sandbox';
    v_asks := sandboxd.approves_anything();
    WITH wanted AS MATERIALIZED (
        SELECT t.*, nextval(pg_get_serial_sequence('sandboxd.tasks', 'task_id')) AS shadow_id
        FROM sandboxd.tasks t
        JOIN sandboxd.lanes l ON l.lane = t.lane AND l.pool = 'host'
        JOIN sandboxd.canaries c ON c.profile = t.profile AND c.shadow
        WHERE t.task_id = ANY (p_tasks) AND NOT t.is_pinned
            -- Nobody has approved of what would run here (0010-approvals.sql).
            AND NOT sandboxd.is_held(t.task_id)
            AND (NOT v_asks OR sandboxd.approval_reason(t.profile, b.budget_id, t.spec,
                sandboxd.money(t.cpu_ms, t.memory_mib_s, 1, t.egress_bytes, b.price_cpu_s,
                    b.price_memory_gib_s, b.price_run, b.price_egress_gib)) IS NULL)
    ), made AS (
        INSERT INTO sandboxd.tasks (task_id, lane, profile, rank, max_attempts, deadline_at, cpu_ms,
            memory_mib_s, wall_ms, egress_bytes, memory_mib, spec, is_pinned)
        OVERRIDING SYSTEM VALUE
        SELECT w.shadow_id, v_lane, w.profile, w.rank, 1, w.deadline_at, w.cpu_ms, w.memory_mib_s,
            w.wall_ms, w.egress_bytes, w.memory_mib, w.spec, true
        FROM wanted w
    ), held AS (
        INSERT INTO sandboxd.task_blobs (task_id, sha256)
        SELECT w.shadow_id, h.sha256 FROM wanted w JOIN sandboxd.task_blobs h ON h.task_id = w.task_id
    ), noted AS (
        INSERT INTO sandboxd.task_shadows (task_id, shadow_id)
        SELECT w.task_id, w.shadow_id FROM wanted w
    ), later AS (
        INSERT INTO sandboxd.task_delayed (run_at, task_id, lane, rank, fence, attempt)
        SELECT d.run_at, w.shadow_id, v_lane, w.rank, 1, 1
        FROM wanted w JOIN sandboxd.task_delayed d ON d.task_id = w.task_id
    )
    INSERT INTO sandboxd.task_ready (lane, rank, task_id, fence, attempt)
    SELECT v_lane, w.rank, w.shadow_id, 1, 1 FROM wanted w
    WHERE NOT EXISTS (SELECT FROM sandboxd.task_delayed d WHERE d.task_id = w.task_id);
END
$$;

-- Ends the shadows of tasks that go to sandboxes themselves by now: they are compared with nothing. One
-- that waits ends when a lease meets it, and one that runs when its worker hears of it. Who has one in hand
-- just now is not waited for.
CREATE FUNCTION sandboxd.drop_shadows(p_tasks bigint[]) RETURNS void
LANGUAGE plpgsql
SET enable_seqscan = off
AS $$
BEGIN
    WITH dropped AS (
        DELETE FROM sandboxd.task_shadows WHERE task_id = ANY (p_tasks) RETURNING shadow_id
    ), held AS MATERIALIZED (
        SELECT t.task_id FROM dropped d JOIN sandboxd.tasks t ON t.task_id = d.shadow_id
        WHERE t.state = 0 FOR NO KEY UPDATE OF t SKIP LOCKED
    )
    UPDATE sandboxd.tasks t SET cancel_requested = true FROM held h WHERE t.task_id = h.task_id;
END
$$;

-- What is seen of how a task ended, as comparisons have it. A worker of the host's says it in its
-- report by the same names as a sandbox's: stdout_bytes, stdout_sha256, artifacts, usage. A report that
-- does not keep to that hides no end: then only what the queue itself knows is compared.
CREATE FUNCTION sandboxd.observed(p_task bigint) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
DECLARE
    a sandboxd.task_attempts;
    v_report json;
    v_known jsonb;
BEGIN
    SELECT * INTO a FROM sandboxd.task_attempts WHERE task_id = p_task ORDER BY fence DESC LIMIT 1;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    v_known := jsonb_strip_nulls(jsonb_build_object(
        'status', CASE WHEN a.verdict IN ('ok', 'exit') THEN coalesce(a.exit_code, 0) END,
        'verdict', a.verdict, 'wall_ms', a.wall_ms));
    BEGIN
        -- A job may write NUL, which no text of PostgreSQL's can hold.
        v_report := replace(a.report::text, '\u0000', '\ufffd')::json;
        RETURN v_known || jsonb_strip_nulls(jsonb_build_object(
            'status', CASE WHEN a.verdict = 'signal' THEN 128 + (v_report ->> 'signal')::int END,
            'stdout', CASE WHEN v_report ->> 'stdout_sha256' IS NOT NULL THEN jsonb_build_object(
                'bytes', (v_report ->> 'stdout_bytes')::bigint,
                'sha256', v_report ->> 'stdout_sha256') END,
            'artifacts', CASE WHEN json_typeof(v_report -> 'artifacts') = 'array' THEN (
                SELECT coalesce(jsonb_object_agg(e ->> 'path', e ->> 'sha256'), '{}')
                FROM json_array_elements(v_report -> 'artifacts') AS e) END,
            'memory_peak_bytes', (v_report -> 'usage' ->> 'memory_peak_bytes')::bigint));
    -- The latter of one that is nested deeper than can be read here.
    EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
        RETURN v_known;
    END;
END
$$;

-- In what two observations differ: Sources/Client/Canary/Comparison.swift, for tasks.
CREATE FUNCTION sandboxd.differences(p_host jsonb, p_sandbox jsonb) RETURNS text[]
LANGUAGE sql IMMUTABLE AS $$
    SELECT array_remove(ARRAY[
        CASE WHEN p_host -> 'status' IS DISTINCT FROM p_sandbox -> 'status' THEN
            format('exit: %s on the host, %s in the sandbox',
                coalesce(p_host ->> 'status', p_host ->> 'verdict', 'unknown'),
                coalesce(p_sandbox ->> 'status', p_sandbox ->> 'verdict', 'unknown')) END,
        CASE WHEN p_host -> 'stdout' -> 'sha256' <> p_sandbox -> 'stdout' -> 'sha256' THEN
            format('stdout: %s bytes on the host, %s bytes in the sandbox, not the same',
                p_host -> 'stdout' ->> 'bytes', p_sandbox -> 'stdout' ->> 'bytes') END
    ] || ARRAY(
        SELECT format('artifact %s: %s', path, CASE
            WHEN p_host -> 'artifacts' -> path IS NULL THEN 'only in the sandbox'
            WHEN p_sandbox -> 'artifacts' -> path IS NULL THEN 'only on the host'
            ELSE 'not the same' END)
        FROM (SELECT jsonb_object_keys(p_host -> 'artifacts') AS path
            UNION SELECT jsonb_object_keys(p_sandbox -> 'artifacts')) AS paths
        WHERE p_host ? 'artifacts' AND p_sandbox ? 'artifacts'
            AND p_host -> 'artifacts' -> path IS DISTINCT FROM p_sandbox -> 'artifacts' -> path
        ORDER BY path LIMIT 100
    ), NULL)
$$;

-- Compares tasks with their shadows where both have ended. It looks at the p_limit that come after p_after,
-- so that each call is short, however many have not ended; next is what to begin after the next time.
-- A task that went to a sandbox in the end, because the percentage has changed since, is not what its
-- shadow was for.
CREATE FUNCTION sandboxd.compare_shadows(p_after bigint DEFAULT 0, p_limit int DEFAULT 5000)
RETURNS TABLE (compared bigint, next bigint)
LANGUAGE sql
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
    WITH looked AS MATERIALIZED (
        SELECT s.ctid AS at, s.task_id FROM sandboxd.task_shadows s
        WHERE s.task_id > p_after ORDER BY s.task_id LIMIT p_limit
    ), ended AS (
        DELETE FROM sandboxd.task_shadows WHERE ctid = ANY (ARRAY(
            SELECT s.ctid FROM looked k JOIN sandboxd.task_shadows s ON s.ctid = k.at
            LEFT JOIN sandboxd.tasks t ON t.task_id = s.task_id
            LEFT JOIN sandboxd.tasks o ON o.task_id = s.shadow_id
            WHERE coalesce(t.state, 1) <> 0 AND coalesce(o.state, 1) <> 0
            FOR UPDATE OF s SKIP LOCKED))
        RETURNING task_id, shadow_id
    ), seen AS MATERIALIZED (
        SELECT e.*, sandboxd.observed(e.task_id) AS host, sandboxd.observed(e.shadow_id) AS sandbox, (
            SELECT a.leased_at FROM sandboxd.task_attempts a WHERE a.task_id = e.shadow_id
            ORDER BY a.fence DESC LIMIT 1) AS began
        FROM ended e
    ), kept AS (
        INSERT INTO sandboxd.comparisons (profile, began, task_key, counted_place, shadow_place, counted,
            shadow, differences)
        SELECT t.profile, s.began, coalesce(k.key, t.task_id::text), 'on the host', 'in the sandbox',
            s.host, s.sandbox, sandboxd.differences(s.host, s.sandbox)
        FROM seen s JOIN sandboxd.tasks t ON t.task_id = s.task_id
        JOIN sandboxd.lanes l ON l.lane = t.lane AND l.pool = 'host'
        LEFT JOIN sandboxd.task_keys k ON k.task_id = s.task_id
        -- One that never ran has nothing to compare.
        WHERE s.host IS NOT NULL AND s.sandbox IS NOT NULL
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM kept),
        CASE WHEN count(*) < p_limit THEN 0 ELSE max(k.task_id) END FROM looked k
$$;

-- Takes note of a comparison that a caller made right after its shadow, and of those he missed.
CREATE FUNCTION sandboxd.note_comparison(p_comparison jsonb) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_wall_ms jsonb := p_comparison -> 'shadow' -> 'wall_ms';
    v_attempt text := p_comparison ->> 'shadow_attempt';
    v_began timestamptz := clock_timestamp();
BEGIN
    IF jsonb_typeof(v_wall_ms) = 'number' THEN
        v_began := v_began - make_interval(secs => least(greatest(v_wall_ms::numeric, 0), 1e9) / 1000);
    END IF;
    -- An attempt's id begins with the milliseconds of its admission.
    IF v_attempt ~ '^[0-9a-f]{32}$' THEN
        v_began := least(v_began, to_timestamp(('x' || left(v_attempt, 12))::bit(48)::bigint / 1000.0));
    END IF;
    INSERT INTO sandboxd.comparisons (profile, began, task_key, counted_place, shadow_place, counted, shadow,
        differences)
    SELECT p.profile, v_began, p_comparison ->> 'task_key', p_comparison ->> 'counted_place',
        p_comparison ->> 'shadow_place', p_comparison -> 'counted', p_comparison -> 'shadow',
        ARRAY(SELECT jsonb_array_elements_text(p_comparison -> 'differences'))
    FROM sandboxd.profiles p WHERE p.profile = p_comparison ->> 'profile';
    IF NOT FOUND THEN
        RAISE 'there is no profile ''%''', left(p_comparison ->> 'profile', 64) USING ERRCODE = 'SB001';
    END IF;
    INSERT INTO sandboxd.shadow_misses (profile, misses)
    SELECT e.key, least(e.value::numeric, 1000000)::int
    FROM jsonb_each_text(coalesce(p_comparison -> 'missed', '{}')) AS e
    JOIN sandboxd.profiles p ON p.profile = e.key;
END
$$;

-- Forgets what is older than p_keep_days.
CREATE FUNCTION sandboxd.expire_canaries(p_keep_days int) RETURNS void
LANGUAGE sql AS $$
    DELETE FROM sandboxd.comparisons WHERE at < now() - make_interval(days => p_keep_days);
    DELETE FROM sandboxd.canary_counts WHERE at < now() - make_interval(days => p_keep_days);
    DELETE FROM sandboxd.shadow_misses WHERE at < now() - make_interval(days => p_keep_days);
$$;

-- One canary as the API gives it.
CREATE FUNCTION sandboxd.canary(p_profile text) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT json_build_object('profile', p.profile, 'percent', coalesce(c.percent, 100)::text,
        'shadow', coalesce(c.shadow, false), 'bound_percent', c.bound_percent::text,
        'bound_runs', c.bound_runs, 'set_at', c.set_at, 'tripped_at', c.tripped_at,
        'tripped_why', c.tripped_why)
    FROM sandboxd.profiles p LEFT JOIN sandboxd.canaries c ON c.profile = p.profile
    WHERE p.profile = p_profile
$$;

-- What came of it in the last p_hours: where tasks went (of the newest 100,000), what failed, and how
-- the runs that were compared differ.
CREATE FUNCTION sandboxd.canary_report(p_profile text, p_hours float8) RETURNS json
LANGUAGE sql STABLE AS $$
    WITH since AS (
        SELECT now() - make_interval(secs => p_hours * 3600) AS at
    ), shares AS (
        SELECT count(*) FILTER (WHERE l.pool = 'sandbox') AS sandbox,
            count(*) FILTER (WHERE l.pool = 'host') AS host
        FROM (SELECT * FROM sandboxd.tasks ORDER BY task_id DESC LIMIT 100000) AS t
        JOIN sandboxd.lanes l ON l.lane = t.lane, since
        WHERE t.profile = p_profile AND NOT t.is_pinned AND t.created_at >= since.at
    ), compared AS (
        SELECT o.* FROM sandboxd.comparisons o, since
        WHERE o.profile = p_profile AND o.at >= since.at
    ), totals AS (
        SELECT count(*) AS compared,
            count(*) FILTER (WHERE cardinality(o.differences) = 0) AS agreed,
            round(percentile_cont(0.5) WITHIN GROUP (ORDER BY (o.shadow ->> 'wall_ms')::float8
                / nullif((o.counted ->> 'wall_ms')::float8, 0))::numeric, 3) AS wall_ratio,
            round(percentile_cont(0.5) WITHIN GROUP (
                ORDER BY (o.shadow ->> 'memory_peak_bytes')::float8
                / nullif((o.counted ->> 'memory_peak_bytes')::float8, 0))::numeric, 3) AS memory_ratio
        FROM compared o
    )
    SELECT json_build_object('canary', sandboxd.canary(p_profile), 'hours', p_hours,
        'tasks', json_build_object('sandbox', h.sandbox, 'host', h.host),
        'runs', (SELECT json_build_object('runs', f.runs, 'failed', f.failed, 'verdicts', f.verdicts)
            FROM since s, sandboxd.canary_failures(p_profile, s.at) AS f),
        'compared', t.compared, 'agreed', t.agreed, 'wall_ratio', t.wall_ratio,
        'memory_ratio', t.memory_ratio,
        'missed', (SELECT coalesce(sum(m.misses), 0) FROM sandboxd.shadow_misses m, since s
            WHERE m.profile = p_profile AND m.at >= s.at),
        'differing', coalesce((SELECT json_agg(json_build_object('at', d.at, 'task', d.task_key,
                'counted', d.counted, 'shadow', d.shadow, 'counted_place', d.counted_place,
                'shadow_place', d.shadow_place, 'differences', d.differences) ORDER BY d.at DESC)
            FROM (SELECT * FROM compared WHERE cardinality(differences) > 0
                ORDER BY at DESC LIMIT 20) AS d), '[]'::json))
    FROM shares h, totals t
$$;
