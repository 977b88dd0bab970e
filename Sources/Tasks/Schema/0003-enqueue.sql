-- SPDX-License-Identifier: Apache-2.0
--
-- How tasks come in. Errors have SQLSTATEs of our own: SB001 no such profile, SB002 malformed,
-- SB003 the key is taken by something else, SB004 the budget cannot pay, SB006 no such budget.

-- One task of a batch, read and checked.
CREATE TYPE sandboxd.task_input AS (
    ord int, task_id bigint, key text, spec_sha256 bytea, profile text, spec jsonb, lane int,
    rank smallint, run_at timestamptz, max_attempts smallint, retry_on text[],
    deadline_at timestamptz, cpu_ms bigint, memory_mib_s bigint, wall_ms bigint,
    egress_bytes bigint, memory_mib bigint, blobs bytea[], is_pinned boolean
);

-- A limit that a spec asks for, or the profile's; it may tighten and not loosen.
CREATE FUNCTION sandboxd.tightened(
    p_limits jsonb, p_name text, p_most bigint, p_least bigint DEFAULT 1
) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    v_asked numeric;
BEGIN
    IF p_limits IS NULL OR NOT p_limits ? p_name THEN
        RETURN p_most;
    END IF;
    IF jsonb_typeof(p_limits -> p_name) <> 'number' THEN
        RAISE 'limit ''%'' is not a whole number', p_name USING ERRCODE = 'SB002';
    END IF;
    v_asked := (p_limits ->> p_name)::numeric;
    IF v_asked < p_least OR v_asked <> trunc(v_asked) THEN
        RAISE 'limit ''%'' is %: give a whole number from % on', p_name, left(v_asked::text, 40), p_least
            USING ERRCODE = 'SB002';
    ELSIF v_asked > p_most THEN
        RAISE 'limit ''%'' is %, and the profile gives at most %', p_name, left(v_asked::text, 40), p_most
            USING ERRCODE = 'SB002', HINT = 'A task can tighten its profile and never loosen it.';
    END IF;
    RETURN v_asked::bigint;
END
$$;

-- Refuses what could never be paid: more than the whole cap of a budget.
CREATE FUNCTION sandboxd.check_payable(p_budget_id int, p_input sandboxd.task_input) RETURNS void
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_unit record;
BEGIN
    SELECT * INTO v_unit FROM (
        SELECT b.budget, u.unit, u.asked, u.cap
        FROM sandboxd.budgets b, LATERAL (VALUES
            ('cpu_ms', p_input.cpu_ms, b.cpu_ms_cap),
            ('memory_mib_s', p_input.memory_mib_s, b.memory_mib_s_cap),
            ('wall_ms', p_input.wall_ms, b.wall_ms_cap),
            ('runs', 1, b.runs_cap),
            ('egress_bytes', p_input.egress_bytes, b.egress_bytes_cap),
            ('money_nanos', sandboxd.money(p_input.cpu_ms, p_input.memory_mib_s, 1,
                p_input.egress_bytes, b.price_cpu_s, b.price_memory_gib_s, b.price_run,
                b.price_egress_gib), b.money_nanos_cap)
        ) AS u (unit, asked, cap)
        WHERE b.budget_id = p_budget_id AND u.asked > u.cap
        LIMIT 1
    ) AS over;
    IF FOUND THEN
        RAISE 'one attempt reserves % % and budget ''%'' has % in all', v_unit.asked, v_unit.unit,
            v_unit.budget, v_unit.cap
            USING ERRCODE = 'SB004', HINT = 'Tighten the task''s limits, or raise the budget''s cap.';
    END IF;
END
$$;

-- Reads one task of a batch; every refusal names what is wrong and where.
CREATE FUNCTION sandboxd.read_task(p_ord int, p_task jsonb) RETURNS sandboxd.task_input
LANGUAGE plpgsql AS $$
DECLARE
    v_known constant text[] := ARRAY['profile', 'spec', 'budget', 'key', 'priority', 'run_at',
        'max_attempts', 'retry_on', 'deadline_at', 'pool', 'blobs'];
    v_verdicts constant text[] := ARRAY['exit', 'signal', 'oom', 'wall_time', 'cpu_time', 'pids',
        'output', 'disk', 'seccomp', 'engine_error', 'lease_lost'];
    v sandboxd.task_input;
    v_key text;
    v_budget_id int;
    v_number numeric;
    p sandboxd.profiles;
    v_limits jsonb;
BEGIN
    IF jsonb_typeof(p_task) IS DISTINCT FROM 'object' THEN
        RAISE 'task % of the batch is no object', p_ord USING ERRCODE = 'SB002';
    END IF;
    SELECT k INTO v_key FROM jsonb_object_keys(p_task) AS k WHERE k <> ALL (v_known) LIMIT 1;
    IF FOUND THEN
        RAISE 'a task has no key ''%'' (known: %)', left(v_key, 40), array_to_string(v_known, ', ')
            USING ERRCODE = 'SB002';
    END IF;
    -- A null is the same as nothing.
    p_task := jsonb_strip_nulls(p_task - 'spec') || jsonb_build_object('spec', p_task -> 'spec');
    FOREACH v_key IN ARRAY ARRAY['profile', 'budget', 'key', 'run_at', 'deadline_at', 'pool'] LOOP
        IF p_task ? v_key AND jsonb_typeof(p_task -> v_key) <> 'string' THEN
            RAISE '''%'' is not a text', v_key USING ERRCODE = 'SB002';
        END IF;
    END LOOP;
    FOREACH v_key IN ARRAY ARRAY['priority', 'max_attempts'] LOOP
        IF p_task ? v_key THEN
            IF jsonb_typeof(p_task -> v_key) <> 'number' THEN
                RAISE '''%'' is not a number', v_key USING ERRCODE = 'SB002';
            END IF;
            v_number := (p_task ->> v_key)::numeric;
            IF v_number <> trunc(v_number) OR v_key = 'priority' AND v_number NOT BETWEEN -100 AND 100
                OR v_key = 'max_attempts' AND v_number NOT BETWEEN 1 AND 100 THEN
                RAISE '''%'' is %: give a whole number between %', v_key, left(v_number::text, 40),
                    CASE v_key WHEN 'priority' THEN '-100 and 100' ELSE '1 and 100' END
                    USING ERRCODE = 'SB002';
            END IF;
        END IF;
    END LOOP;

    v.ord := p_ord;
    v.key := p_task ->> 'key';
    v.profile := p_task ->> 'profile';
    v.spec := p_task -> 'spec';
    -- By way of numeric, for 1.0 is a whole number too.
    v.rank := -coalesce((p_task ->> 'priority')::numeric, 0)::smallint;
    v.max_attempts := coalesce((p_task ->> 'max_attempts')::numeric, 3)::smallint;
    IF length(v.key) NOT BETWEEN 1 AND 200 THEN
        RAISE '''key'' has % characters: give 1 to 200', length(v.key) USING ERRCODE = 'SB002';
    END IF;
    IF jsonb_typeof(v.spec) IS DISTINCT FROM 'object' THEN
        RAISE '''spec'' is missing or no object' USING ERRCODE = 'SB002';
    END IF;
    IF octet_length(v.spec::text) > 65536 THEN
        RAISE 'the spec has % bytes, and 65536 fit', octet_length(v.spec::text)
            USING ERRCODE = 'SB002', HINT = 'Put larger inputs into blobs.';
    END IF;
    -- What was checked, reserved and approved of is what the task says, beside its spec.
    SELECT k INTO v_key FROM unnest(ARRAY['profile', 'budget', 'key']) AS k WHERE v.spec ? k LIMIT 1;
    IF FOUND THEN
        RAISE '''%'' is inside of the spec: it belongs to the task, beside the spec', v_key
            USING ERRCODE = 'SB002';
    END IF;
    -- A body of POST /v1/tasks may say that it is none.
    IF v.spec -> 'stdin_stream' <> 'false' THEN
        RAISE 'a task cannot have ''stdin_stream'': nobody is there to send it' USING ERRCODE = 'SB002',
            HINT = 'Give ''stdin'' or ''stdin_base64'', or a blob as ''stdin_sha256''.';
    END IF;
    IF jsonb_typeof(v.spec -> 'argv') IS DISTINCT FROM 'array' OR v.spec -> 'argv' = '[]'
        OR jsonb_path_exists(v.spec, 'strict $.argv[*] ? (@.type() != "string")') THEN
        RAISE '''argv'' of the spec is missing, or no list of texts with at least one'
            USING ERRCODE = 'SB002';
    END IF;
    BEGIN
        v.run_at := (p_task ->> 'run_at')::timestamptz;
        v.deadline_at := (p_task ->> 'deadline_at')::timestamptz;
    -- The format, a field, the zone: several conditions of one class.
    EXCEPTION WHEN data_exception THEN
        RAISE '''run_at'' or ''deadline_at'' is no time: give one like 2030-01-31T12:00:00Z'
            USING ERRCODE = 'SB002';
    END;
    IF v.run_at > now() + interval '366 days' OR NOT isfinite(coalesce(v.run_at, now())) THEN
        RAISE '''run_at'' is %, and a task waits at most a year', v.run_at USING ERRCODE = 'SB002';
    END IF;
    IF NOT isfinite(coalesce(v.deadline_at, now())) THEN
        RAISE '''deadline_at'' is %: leave it out', v.deadline_at USING ERRCODE = 'SB002';
    END IF;
    IF v.deadline_at <= greatest(now(), v.run_at) THEN
        RAISE '''deadline_at'' is %: the task could never start', v.deadline_at
            USING ERRCODE = 'SB002';
    END IF;
    IF p_task ? 'retry_on' THEN
        IF jsonb_typeof(p_task -> 'retry_on') <> 'array' THEN
            RAISE '''retry_on'' is no list of verdicts' USING ERRCODE = 'SB002';
        END IF;
        v.retry_on := ARRAY(SELECT DISTINCT jsonb_array_elements_text(p_task -> 'retry_on'));
        IF NOT v.retry_on <@ v_verdicts THEN
            RAISE '''retry_on'' has something else than verdicts that are failures (%)',
                array_to_string(v_verdicts, ', ') USING ERRCODE = 'SB002';
        END IF;
    END IF;

    SELECT * INTO p FROM sandboxd.profiles WHERE profile = v.profile;
    IF NOT FOUND THEN
        RAISE 'there is no profile ''%'' (known: %)', left(coalesce(v.profile, ''), 64),
            (SELECT string_agg(profile, ', ' ORDER BY profile) FROM sandboxd.profiles)
            USING ERRCODE = 'SB001';
    END IF;
    v_limits := v.spec -> 'limits';
    IF v_limits IS NOT NULL AND jsonb_typeof(v_limits) <> 'object' THEN
        RAISE '''limits'' is no object' USING ERRCODE = 'SB002';
    END IF;
    v.cpu_ms := sandboxd.tightened(v_limits, 'cpu_time_ms', p.cpu_ms);
    v.wall_ms := sandboxd.tightened(v_limits, 'wall_time_ms', p.wall_ms);
    v.egress_bytes := p.egress_bytes;
    -- Memory and swap are limits of their own, and a node admits by both together.
    v.memory_mib := (sandboxd.tightened(v_limits, 'memory_bytes', (p.memory_mib << 20) - p.swap_bytes)
        + sandboxd.tightened(v_limits, 'swap_bytes', p.swap_bytes, 0) + 1048575) >> 20;
    v.memory_mib_s := ceil(v.memory_mib::numeric * v.wall_ms / 1000);

    SELECT budget_id INTO v_budget_id FROM sandboxd.budgets
    WHERE budget = coalesce(p_task ->> 'budget', 'default');
    IF NOT FOUND THEN
        RAISE 'there is no budget ''%''', left(p_task ->> 'budget', 64) USING ERRCODE = 'SB006',
            HINT = 'Make it first: sandboxd budget set.';
    END IF;
    PERFORM sandboxd.check_payable(v_budget_id, v);
    IF coalesce(p_task ->> 'pool', 'sandbox') NOT IN ('sandbox', 'host') THEN
        RAISE '''pool'' is neither ''sandbox'' nor ''host''' USING ERRCODE = 'SB002';
    END IF;
    v.task_id := nextval(pg_get_serial_sequence('sandboxd.tasks', 'task_id'));
    v.is_pinned := p_task ? 'pool';
    v.lane := sandboxd.lane_of(v_budget_id, coalesce(p_task ->> 'pool',
        sandboxd.canary_pool(v.profile, coalesce(v.key, v.task_id::text))));
    IF p_task ? 'blobs' THEN
        BEGIN
            v.blobs := ARRAY(SELECT DISTINCT decode(d, 'hex')
                FROM jsonb_array_elements_text(p_task -> 'blobs') AS d);
        EXCEPTION WHEN invalid_parameter_value THEN
            RAISE '''blobs'' is no list of SHA-256 digests in hex' USING ERRCODE = 'SB002';
        END;
    END IF;
    IF v.key IS NOT NULL THEN
        v.spec_sha256 := sha256(convert_to(jsonb_build_array(v.profile, v.spec)::text, 'UTF8'));
    END IF;
    RETURN v;
END
$$;

-- Puts a batch of tasks into the queue: all, or none when one is refused. For each, in order: its id,
-- and whether it is new. A task whose key is known is the task of that key when both ask for the same;
-- otherwise the batch is refused. It may be called inside of a transaction of the caller's.
CREATE FUNCTION sandboxd.enqueue_many(p_tasks jsonb)
RETURNS TABLE (ord int, task_id bigint, created boolean)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_inputs sandboxd.task_input[];
    v_clash record;
    v_missing bytea;
    v_since bigint := nextval('sandboxd.ready_seq');
BEGIN
    IF jsonb_typeof(p_tasks) IS DISTINCT FROM 'array' THEN
        RAISE 'a batch is a list of tasks' USING ERRCODE = 'SB002';
    END IF;
    IF jsonb_array_length(p_tasks) > 10000 THEN
        RAISE 'the batch has % tasks, and 10000 fit', jsonb_array_length(p_tasks)
            USING ERRCODE = 'SB002', HINT = 'Send several batches.';
    END IF;
    SELECT array_agg(sandboxd.read_task(e.ord::int, e.task) ORDER BY e.ord) INTO v_inputs
    FROM jsonb_array_elements(p_tasks) WITH ORDINALITY AS e (task, ord);

    -- In the order of the keys, so that two batches with the same keys do not wait for each other.
    INSERT INTO sandboxd.task_keys (key, task_id, spec_sha256)
    SELECT DISTINCT ON (i.key) i.key, i.task_id, i.spec_sha256
    FROM unnest(v_inputs) AS i WHERE i.key IS NOT NULL
    ORDER BY i.key, i.ord
    ON CONFLICT DO NOTHING;
    -- A statement of its own, so that it sees keys that others committed meanwhile.
    SELECT i.key, k.task_id INTO v_clash
    FROM unnest(v_inputs) AS i JOIN sandboxd.task_keys k ON k.key = i.key
    WHERE k.spec_sha256 <> i.spec_sha256 LIMIT 1;
    IF FOUND THEN
        RAISE 'the key ''%'' belongs to task %, which asks for something else', v_clash.key,
            v_clash.task_id USING ERRCODE = 'SB003';
    END IF;

    -- Blobs first: from here on nobody removes them, because they were touched within a day. What was
    -- touched a while ago is left as it is, so that a blob that all use is not written by all.
    UPDATE sandboxd.blobs s SET touched_at = now() WHERE s.sha256 IN (
        SELECT o.sha256 FROM sandboxd.blobs o
        WHERE o.sha256 IN (SELECT b.sha256 FROM unnest(v_inputs) AS i, unnest(i.blobs) AS b (sha256))
            AND o.touched_at < now() - interval '12 hours'
        ORDER BY o.sha256 FOR NO KEY UPDATE);
    SELECT b.sha256 INTO v_missing
    FROM unnest(v_inputs) AS i, unnest(i.blobs) AS b (sha256)
    WHERE NOT EXISTS (SELECT FROM sandboxd.blobs s WHERE s.sha256 = b.sha256) LIMIT 1;
    IF FOUND THEN
        RAISE 'there is no blob %', encode(v_missing, 'hex') USING ERRCODE = 'SB002',
            HINT = 'Put it first: PUT /v1/blobs.';
    END IF;

    RETURN QUERY
    WITH fresh AS MATERIALIZED (
        SELECT i.* FROM unnest(v_inputs) AS i
        WHERE i.key IS NULL
            OR EXISTS (SELECT FROM sandboxd.task_keys k WHERE k.key = i.key AND k.task_id = i.task_id)
    ), made AS (
        INSERT INTO sandboxd.tasks (task_id, lane, profile, rank, max_attempts, retry_on,
            deadline_at, cpu_ms, memory_mib_s, wall_ms, egress_bytes, memory_mib, spec, is_pinned)
        OVERRIDING SYSTEM VALUE
        SELECT f.task_id, f.lane, f.profile, f.rank, f.max_attempts, f.retry_on, f.deadline_at,
            f.cpu_ms, f.memory_mib_s, f.wall_ms, f.egress_bytes, f.memory_mib, f.spec, f.is_pinned
        FROM fresh f
    ), held AS (
        INSERT INTO sandboxd.task_blobs (task_id, sha256)
        SELECT f.task_id, b.sha256 FROM fresh f, unnest(f.blobs) AS b (sha256)
    ), later AS (
        INSERT INTO sandboxd.task_delayed (run_at, task_id, lane, rank, fence, attempt)
        SELECT f.run_at, f.task_id, f.lane, f.rank, 1, 1 FROM fresh f WHERE f.run_at > now()
    ), now_ready AS (
        INSERT INTO sandboxd.task_ready (lane, rank, task_id, fence, attempt)
        SELECT f.lane, f.rank, f.task_id, 1, 1 FROM fresh f
        WHERE f.run_at IS NULL OR f.run_at <= now() ORDER BY f.ord
    )
    SELECT i.ord, coalesce(f.task_id, k.task_id), f.task_id IS NOT NULL
    FROM unnest(v_inputs) AS i
    LEFT JOIN fresh f ON f.ord = i.ord
    LEFT JOIN sandboxd.task_keys k ON k.key = i.key
    ORDER BY i.ord;
    PERFORM sandboxd.hold_for_approval(ARRAY(SELECT i.task_id FROM unnest(v_inputs) AS i),
        p_since => v_since);
    PERFORM sandboxd.add_shadows(ARRAY(SELECT i.task_id FROM unnest(v_inputs) AS i));
    PERFORM sandboxd.wake();
END
$$;

-- The same for one task, for callers who write SQL by hand. Answers its id.
CREATE FUNCTION sandboxd.enqueue(
    p_profile text, p_spec jsonb, p_budget text DEFAULT 'default', p_key text DEFAULT NULL,
    p_priority int DEFAULT 0, p_run_at timestamptz DEFAULT NULL, p_max_attempts int DEFAULT 3,
    p_pool text DEFAULT NULL, p_deadline_at timestamptz DEFAULT NULL,
    p_retry_on text[] DEFAULT NULL
) RETURNS bigint
LANGUAGE sql AS $$
    SELECT task_id FROM sandboxd.enqueue_many(jsonb_build_array(jsonb_build_object(
        'profile', p_profile, 'spec', p_spec, 'budget', p_budget, 'key', p_key,
        'priority', p_priority, 'run_at', p_run_at, 'max_attempts', p_max_attempts,
        'pool', p_pool, 'deadline_at', p_deadline_at, 'retry_on', p_retry_on)))
$$;
