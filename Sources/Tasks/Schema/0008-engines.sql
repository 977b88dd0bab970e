-- SPDX-License-Identifier: Apache-2.0
--
-- What nodes know of their container engines, so that a restart does not forget that one is broken.

-- An engine of a node's that failed, and until when it is left alone.
CREATE TABLE sandboxd.engine_circuits (
    node text NOT NULL,
    engine text NOT NULL,
    failures int NOT NULL CHECK (failures > 0),
    reason text NOT NULL,
    open_until timestamptz NOT NULL,
    PRIMARY KEY (node, engine)
);

-- Takes note of p_failures in a row, after which the engine is left alone for p_cooldown_s; none
-- means that it works.
CREATE FUNCTION sandboxd.keep_circuit(
    p_node text, p_engine text, p_failures int, p_reason text, p_cooldown_s float8
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF p_failures <= 0 THEN
        DELETE FROM sandboxd.engine_circuits WHERE node = p_node AND engine = p_engine;
        RETURN;
    END IF;
    INSERT INTO sandboxd.engine_circuits AS c (node, engine, failures, reason, open_until)
    VALUES (p_node, p_engine, p_failures, left(p_reason, 2000),
        now() + least(p_cooldown_s, 3600) * interval '1 second')
    ON CONFLICT (node, engine) DO UPDATE
    SET failures = excluded.failures, reason = excluded.reason, open_until = excluded.open_until;
END
$$;

-- What was noted last; no row for an engine that works.
CREATE FUNCTION sandboxd.circuit(p_node text, p_engine text)
RETURNS TABLE (failures int, reason text, cooldown_ms bigint) LANGUAGE sql STABLE AS $$
    SELECT c.failures, c.reason,
        greatest(0, extract(epoch FROM c.open_until - now()) * 1000)::bigint
    FROM sandboxd.engine_circuits c WHERE c.node = p_node AND c.engine = p_engine
$$;
