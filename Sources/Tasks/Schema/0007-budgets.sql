-- SPDX-License-Identifier: Apache-2.0
--
-- How people set budgets.

-- Makes a budget, or changes the settings that p_settings names; the others stay. A cap of null is
-- none; what is kept then is one that no honest attempt reaches, so that no sum can pass what its
-- column holds, whatever the prices. A cap below what is used and reserved already is refused
-- (SB002), for it could not be kept.
CREATE FUNCTION sandboxd.set_budget(p_budget text, p_settings jsonb) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_caps constant text[] := ARRAY['cpu_ms_cap', 'memory_mib_s_cap', 'wall_ms_cap', 'runs_cap',
        'egress_bytes_cap', 'money_nanos_cap'];
    v_prices constant text[] := ARRAY['price_cpu_s', 'price_memory_gib_s', 'price_run',
        'price_egress_gib'];
    v_no_cap constant bigint := 4000000000000000000;
    v_key text;
    v_value jsonb;
    v_row sandboxd.budgets;
    v_least bigint;
BEGIN
    IF jsonb_typeof(p_settings) IS DISTINCT FROM 'object' THEN
        RAISE 'a budget''s settings are an object' USING ERRCODE = 'SB002';
    END IF;
    IF (p_budget ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$') IS NOT TRUE THEN
        RAISE 'the budget''s name has 1 to 64 letters, digits, ''.'', ''_'' and ''-'''
            USING ERRCODE = 'SB002';
    END IF;
    FOR v_key, v_value IN SELECT * FROM jsonb_each(p_settings) LOOP
        IF v_key = ANY (v_caps || v_prices) THEN
            IF v_key = ANY (v_caps) AND jsonb_typeof(v_value) = 'null' THEN
                CONTINUE;
            END IF;
            IF jsonb_typeof(v_value) <> 'number' OR v_value::text !~ '^[0-9]{1,18}$'
                OR v_key = ANY (v_prices) AND v_value::bigint > 1000000000000 THEN
                RAISE '''%'' is %: give a whole number from 0 to %', v_key, left(v_value::text, 40),
                    CASE WHEN v_key = ANY (v_prices) THEN '10^12' ELSE '10^18 - 1, or null for no cap' END
                    USING ERRCODE = 'SB002';
            END IF;
        ELSIF v_key = 'period' THEN
            IF (v_value #>> '{}' IN ('day', 'month', 'total')) IS NOT TRUE THEN
                RAISE '''period'' is %: give ''day'', ''month'' or ''total''', left(v_value::text, 40)
                    USING ERRCODE = 'SB002';
            END IF;
        ELSIF v_key = 'on_exhausted' THEN
            IF (v_value #>> '{}' IN ('hold', 'reject')) IS NOT TRUE THEN
                RAISE '''on_exhausted'' is %: give ''hold'' or ''reject''', left(v_value::text, 40)
                    USING ERRCODE = 'SB002';
            END IF;
        ELSIF v_key = 'paused' THEN
            IF jsonb_typeof(v_value) <> 'boolean' THEN
                RAISE '''paused'' is %: give true or false', left(v_value::text, 40)
                    USING ERRCODE = 'SB002';
            END IF;
        ELSIF v_key IN ('approval', 'approval_above_nanos') THEN
            -- Checked where they are kept (0010-approvals.sql).
            CONTINUE;
        ELSE
            RAISE 'a budget has no setting ''%'' (known: %, period, on_exhausted, paused, approval, approval_above_nanos)',
                left(v_key, 40), array_to_string(v_caps || v_prices, ', ') USING ERRCODE = 'SB002';
        END IF;
    END LOOP;

    INSERT INTO sandboxd.budgets (budget) VALUES (p_budget) ON CONFLICT DO NOTHING;
    SELECT * INTO v_row FROM sandboxd.budgets WHERE budget = p_budget FOR NO KEY UPDATE;
    PERFORM sandboxd.lane_of(v_row.budget_id, 'sandbox');
    PERFORM sandboxd.lane_of(v_row.budget_id, 'host');
    -- What was used in a period that is over stands in no cap's way.
    PERFORM sandboxd.roll_budget(v_row.budget_id);
    SELECT * INTO v_row FROM sandboxd.budgets WHERE budget_id = v_row.budget_id;
    IF p_settings ->> 'period' IS DISTINCT FROM v_row.period AND p_settings ? 'period' THEN
        v_row.period_began := CASE p_settings ->> 'period' WHEN 'total' THEN v_row.period_began
            ELSE date_trunc(p_settings ->> 'period', now(), 'UTC') END;
    END IF;
    FOREACH v_key IN ARRAY v_caps LOOP
        IF jsonb_typeof(p_settings -> v_key) = 'number' THEN
            v_least := (to_jsonb(v_row) ->> replace(v_key, '_cap', '_used'))::bigint
                + (to_jsonb(v_row) ->> replace(v_key, '_cap', '_reserved'))::bigint;
            IF (p_settings ->> v_key)::bigint < v_least THEN
                RAISE '''%'' is %, and % are used or reserved already: pause the budget instead', v_key,
                    p_settings ->> v_key, v_least USING ERRCODE = 'SB002';
            END IF;
        END IF;
    END LOOP;
    FOREACH v_key IN ARRAY v_caps LOOP
        IF p_settings -> v_key = 'null' THEN
            p_settings := jsonb_set(p_settings, ARRAY[v_key], to_jsonb(v_no_cap));
        END IF;
    END LOOP;
    v_row := jsonb_populate_record(v_row, p_settings);
    UPDATE sandboxd.budgets SET
        cpu_ms_cap = v_row.cpu_ms_cap, memory_mib_s_cap = v_row.memory_mib_s_cap,
        wall_ms_cap = v_row.wall_ms_cap, runs_cap = v_row.runs_cap,
        egress_bytes_cap = v_row.egress_bytes_cap, money_nanos_cap = v_row.money_nanos_cap,
        price_cpu_s = v_row.price_cpu_s, price_memory_gib_s = v_row.price_memory_gib_s,
        price_run = v_row.price_run, price_egress_gib = v_row.price_egress_gib,
        period = v_row.period, period_began = v_row.period_began,
        on_exhausted = v_row.on_exhausted, paused = v_row.paused
    WHERE budget = p_budget;
    IF p_settings ?| ARRAY['approval', 'approval_above_nanos'] THEN
        PERFORM sandboxd.set_budget_approval(p_budget, p_settings);
    END IF;
    -- What was held may be paid for now.
    PERFORM sandboxd.wake();
END
$$;
