-- SPDX-License-Identifier: Apache-2.0
--
-- Tasks that wait for a person's word. SB008: what is asked for needs an approval first; SB009: this
-- was decided already.

-- When a task of a profile, or one that a budget pays for, needs a word: never, always ('required'), or
-- when it asks for more of the network than its profile gives ('egress').
CREATE DOMAIN sandboxd.approval_rule AS text CHECK (value IN ('never', 'required', 'egress'));
ALTER TABLE sandboxd.profiles ADD COLUMN approval sandboxd.approval_rule NOT NULL DEFAULT 'never';

-- The budgets' rules. A table of its own, for a budget's row is updated by every lease.
CREATE TABLE sandboxd.budget_approvals (
    budget_id int PRIMARY KEY REFERENCES sandboxd.budgets,
    approval sandboxd.approval_rule NOT NULL DEFAULT 'never',
    -- Needed when an attempt's worst case costs more, in nanos; null is never.
    above_nanos bigint CHECK (above_nanos >= 0)
);

-- What was asked for, by whom it was decided, when and why; it stays when the task is gone.
CREATE TABLE sandboxd.approvals (
    approval_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    task_id bigint NOT NULL,
    -- Of exactly what was shown.
    digest bytea NOT NULL,
    -- Which rule wants it.
    needed_for text NOT NULL,
    asked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL,
    -- 'cancelled': with its task, by whoever cancelled that.
    decision text CHECK (decision IN ('approved', 'denied', 'expired', 'cancelled')),
    decided_at timestamptz,
    decided_by text,
    why text
);
CREATE INDEX approvals_task ON sandboxd.approvals (task_id);
CREATE INDEX approvals_open ON sandboxd.approvals (expires_at) WHERE decision IS NULL;

-- A task is here while it waits for a word, and in no other place.
CREATE TABLE sandboxd.task_held (
    task_id bigint PRIMARY KEY,
    run_at timestamptz,
    fence int NOT NULL
);

-- The digest of what a task will do: its profile, its whole spec, and who pays.
CREATE FUNCTION sandboxd.approval_digest(p_task bigint) RETURNS bytea
LANGUAGE sql STABLE AS $$
    SELECT sha256(convert_to(jsonb_build_array(t.profile, t.spec, b.budget)::text, 'UTF8'))
    FROM sandboxd.tasks t
    JOIN sandboxd.lanes l ON l.lane = t.lane JOIN sandboxd.budgets b ON b.budget_id = l.budget_id
    WHERE t.task_id = p_task
$$;

-- Why a run needs an approval, in a sentence; null when it does not.
CREATE FUNCTION sandboxd.approval_reason(
    p_profile text, p_budget_id int, p_spec jsonb, p_money bigint
) RETURNS text
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_profile text := (SELECT approval FROM sandboxd.profiles WHERE profile = p_profile);
    v_budget sandboxd.budget_approvals;
    v_asks_egress boolean := coalesce(jsonb_array_length(
        CASE jsonb_typeof(p_spec -> 'allow') WHEN 'array' THEN p_spec -> 'allow' END) > 0, false);
BEGIN
    SELECT * INTO v_budget FROM sandboxd.budget_approvals WHERE budget_id = p_budget_id;
    RETURN CASE
        WHEN v_profile = 'required' THEN format('profile ''%s'' wants one always', p_profile)
        WHEN v_profile = 'egress' AND v_asks_egress
            THEN format('profile ''%s'' wants one for what is asked to be reached', p_profile)
        WHEN v_budget.approval = 'required' THEN 'its budget wants one always'
        WHEN v_budget.approval = 'egress' AND v_asks_egress
            THEN 'its budget wants one for what is asked to be reached'
        WHEN p_money > v_budget.above_nanos
            THEN format('it may cost %s nanos, and its budget wants one above %s', p_money,
                v_budget.above_nanos)
    END;
END
$$;

-- Whether any rule is there: with none, an enqueue asks no further.
CREATE FUNCTION sandboxd.approves_anything() RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (SELECT FROM sandboxd.profiles WHERE approval <> 'never')
        OR EXISTS (SELECT FROM sandboxd.budget_approvals WHERE approval <> 'never'
            OR above_nanos IS NOT NULL);
END
$$;

-- Takes those of these waiting tasks that need an approval out of the queue, until there is one. To be
-- called in the transaction that put them in, where nobody has seen them yet. p_since is a value that it
-- took from ready_seq before: what comes after it is looked through, and not all that waits.
CREATE FUNCTION sandboxd.hold_for_approval(p_tasks bigint[], p_since bigint) RETURNS void
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET jit = off
AS $$
BEGIN
    IF NOT sandboxd.approves_anything() THEN
        RETURN;
    END IF;
    WITH needed AS MATERIALIZED (
        SELECT t.task_id, t.lane, t.rank, t.deadline_at,
            sandboxd.approval_reason(t.profile, l.budget_id, t.spec,
                sandboxd.money(t.cpu_ms, t.memory_mib_s, 1, t.egress_bytes, b.price_cpu_s,
                    b.price_memory_gib_s, b.price_run, b.price_egress_gib)) AS reason
        FROM sandboxd.tasks t
        JOIN sandboxd.lanes l ON l.lane = t.lane
        JOIN sandboxd.budgets b ON b.budget_id = l.budget_id
        WHERE t.task_id = ANY (p_tasks)
    ), fresh AS MATERIALIZED (
        SELECT r.at, r.task_id
        FROM (SELECT DISTINCT n.lane, n.rank FROM needed n WHERE n.reason IS NOT NULL) AS n
        CROSS JOIN LATERAL (
            SELECT r.ctid AS at, r.task_id FROM sandboxd.task_ready r
            WHERE r.lane = n.lane AND r.rank = n.rank AND r.seq > p_since OFFSET 0
        ) AS r
    ), ready AS (
        DELETE FROM sandboxd.task_ready WHERE ctid = ANY (ARRAY(
            SELECT f.at FROM fresh f JOIN needed n ON n.task_id = f.task_id WHERE n.reason IS NOT NULL))
        RETURNING task_id, NULL::timestamptz AS run_at, fence
    ), later AS (
        DELETE FROM sandboxd.task_delayed d USING needed n
        WHERE d.task_id = n.task_id AND n.reason IS NOT NULL
        RETURNING d.task_id, d.run_at, d.fence
    ), held AS (
        INSERT INTO sandboxd.task_held (task_id, run_at, fence)
        SELECT * FROM ready UNION ALL SELECT * FROM later
        RETURNING task_id
    )
    INSERT INTO sandboxd.approvals (task_id, digest, needed_for, expires_at)
    SELECT h.task_id, sandboxd.approval_digest(h.task_id), n.reason,
        least(now() + interval '24 hours', n.deadline_at)
    FROM held h JOIN needed n ON n.task_id = h.task_id;
END
$$;

-- Decides about a task that waits: p_decision is 'approved' or 'denied'. The digest must be that of what
-- was shown. Answers the task's state; null when there is no such task.
CREATE FUNCTION sandboxd.decide(
    p_task bigint, p_decision text, p_digest text, p_by text, p_why text
) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    v_task sandboxd.tasks;
    v_held sandboxd.task_held;
    v_asked sandboxd.approvals;
BEGIN
    SELECT * INTO v_task FROM sandboxd.tasks WHERE task_id = p_task FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    IF (p_by ~ '^[^[:cntrl:]]{1,100}$') IS NOT TRUE THEN
        RAISE 'who decides is not said: give a name of 1 to 100 letters' USING ERRCODE = 'SB002';
    END IF;
    IF length(p_why) > 1000 THEN
        RAISE 'the reason has % characters, and 1000 fit', length(p_why) USING ERRCODE = 'SB002';
    END IF;
    SELECT * INTO v_asked FROM sandboxd.approvals WHERE task_id = p_task
    ORDER BY approval_id DESC LIMIT 1;
    IF NOT FOUND THEN
        RAISE 'task % needs no approval', p_task USING ERRCODE = 'SB009';
    END IF;
    IF v_asked.decision IS NOT NULL THEN
        RAISE 'task % was % already, by %, at %', p_task, v_asked.decision,
            coalesce(v_asked.decided_by, 'nobody'), v_asked.decided_at USING ERRCODE = 'SB009';
    END IF;
    SELECT * INTO v_held FROM sandboxd.task_held WHERE task_id = p_task FOR UPDATE;
    IF NOT FOUND OR v_task.state <> 0 THEN
        RAISE 'task % does not wait for an approval any more', p_task USING ERRCODE = 'SB009';
    END IF;
    IF v_asked.expires_at <= now() THEN
        RAISE 'the time to decide about task % was over at %', p_task, v_asked.expires_at
            USING ERRCODE = 'SB009';
    END IF;
    IF p_digest IS DISTINCT FROM encode(v_asked.digest, 'hex')
        OR v_asked.digest <> sandboxd.approval_digest(p_task) THEN
        RAISE 'task % is not what was shown: its digest is %', p_task, encode(v_asked.digest, 'hex')
            USING ERRCODE = 'SB009', HINT = 'Look at it again: sandboxd approvals.';
    END IF;
    UPDATE sandboxd.approvals SET decision = p_decision, decided_at = clock_timestamp(),
        decided_by = p_by, why = p_why WHERE approval_id = v_asked.approval_id;
    DELETE FROM sandboxd.task_held WHERE task_id = p_task;
    IF p_decision = 'denied' THEN
        UPDATE sandboxd.tasks SET state = 5, verdict = 'denied', finished_at = now()
        WHERE task_id = p_task;
        RETURN 'rejected';
    END IF;
    -- Where it belongs by now.
    IF NOT v_task.is_pinned THEN
        v_task.lane := sandboxd.home_lane(p_task, v_task.lane);
        UPDATE sandboxd.tasks SET lane = v_task.lane WHERE task_id = p_task;
    END IF;
    IF v_held.run_at > now() THEN
        INSERT INTO sandboxd.task_delayed (run_at, task_id, lane, rank, fence, attempt)
        VALUES (v_held.run_at, p_task, v_task.lane, v_task.rank, v_held.fence, 1);
        RETURN 'delayed';
    END IF;
    INSERT INTO sandboxd.task_ready (lane, rank, task_id, fence, attempt)
    VALUES (v_task.lane, v_task.rank, p_task, v_held.fence, 1);
    PERFORM sandboxd.wake();
    RETURN 'ready';
END
$$;

-- Ends tasks about which nobody has decided in time, the longest overdue first. Answers how many. What
-- was asked last counts: a request of before ends alone. Nobody is waited for who has a task in hand.
CREATE FUNCTION sandboxd.expire_approvals(p_limit int DEFAULT 1000) RETURNS int
LANGUAGE plpgsql
SET enable_seqscan = off
AS $$
DECLARE
    v_count int;
BEGIN
    WITH late AS MATERIALIZED (
        SELECT a.approval_id, a.task_id FROM sandboxd.approvals a
        WHERE a.decision IS NULL AND a.expires_at <= now() ORDER BY a.expires_at LIMIT p_limit
    ), held AS MATERIALIZED (
        -- Tasks first, as all do who decide.
        SELECT l.approval_id FROM late l JOIN sandboxd.tasks t ON t.task_id = l.task_id
        FOR NO KEY UPDATE OF t SKIP LOCKED
    ), over AS (
        UPDATE sandboxd.approvals a SET decision = 'expired', decided_at = clock_timestamp()
        FROM late l
        WHERE a.approval_id = l.approval_id AND a.decision IS NULL
            AND (l.approval_id IN (SELECT h.approval_id FROM held h)
                OR NOT EXISTS (SELECT FROM sandboxd.tasks t WHERE t.task_id = l.task_id))
        RETURNING a.approval_id, a.task_id
    ), gone AS (
        DELETE FROM sandboxd.task_held h USING over o
        WHERE h.task_id = o.task_id AND NOT EXISTS (SELECT FROM sandboxd.approvals n
            WHERE n.task_id = o.task_id AND n.approval_id > o.approval_id)
        RETURNING h.task_id
    )
    UPDATE sandboxd.tasks t SET state = 6, verdict = 'not_approved', finished_at = now()
    FROM gone g WHERE t.task_id = g.task_id AND t.state = 0;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    RETURN v_count;
END
$$;

-- Sets when a budget's tasks need an approval; what p_settings leaves out stays.
CREATE FUNCTION sandboxd.set_budget_approval(p_budget text, p_settings jsonb) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF p_settings ? 'approval' AND (p_settings ->> 'approval' IN ('never', 'required', 'egress'))
        IS NOT TRUE THEN
        RAISE '''approval'' is %: give ''never'', ''required'' or ''egress''',
            left((p_settings -> 'approval')::text, 40) USING ERRCODE = 'SB002';
    END IF;
    IF p_settings ? 'approval_above_nanos'
        AND jsonb_typeof(p_settings -> 'approval_above_nanos') <> 'null'
        AND (p_settings -> 'approval_above_nanos')::text !~ '^[0-9]{1,18}$' THEN
        RAISE '''approval_above_nanos'' is %: give a whole number from 0, or null for none',
            left((p_settings -> 'approval_above_nanos')::text, 40) USING ERRCODE = 'SB002';
    END IF;
    INSERT INTO sandboxd.budget_approvals AS a (budget_id, approval, above_nanos)
    SELECT b.budget_id, coalesce(p_settings ->> 'approval', 'never'),
        (p_settings ->> 'approval_above_nanos')::bigint
    FROM sandboxd.budgets b WHERE b.budget = p_budget
    ON CONFLICT (budget_id) DO UPDATE SET
        approval = coalesce(p_settings ->> 'approval', a.approval),
        above_nanos = CASE WHEN p_settings ? 'approval_above_nanos'
            THEN excluded.above_nanos ELSE a.above_nanos END;
END
$$;
