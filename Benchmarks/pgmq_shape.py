# SPDX-License-Identifier: Apache-2.0
"""A queue of the shape that pgmq has, written anew: one table, a visibility time, an archive.

It is not pgmq, which is an extension that Debian does not have. What costs is the same: reading
moves an indexed time of visibility in place and counts the read, and archiving moves the rows into
a table of its own, each by a function that makes its statement from the queue's name. A message has
no attempt that could be told from an earlier one (no fence), and nobody pays for it (no budget).
"""

from postgres import Drained

SCHEMA = """
CREATE TABLE queue (
    msg_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    read_ct int NOT NULL DEFAULT 0,
    enqueued_at timestamptz NOT NULL DEFAULT now(),
    vt timestamptz NOT NULL,
    message jsonb,
    headers jsonb
);
CREATE INDEX queue_vt ON queue (vt);
CREATE TABLE archive (LIKE queue);
ALTER TABLE archive ADD PRIMARY KEY (msg_id), ADD archived_at timestamptz NOT NULL DEFAULT now();
CREATE INDEX archive_archived_at ON archive (archived_at);

CREATE FUNCTION take(name text, hide interval, quantity int) RETURNS SETOF queue
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE format('
        WITH picked AS (
            SELECT msg_id FROM %1$I WHERE vt <= clock_timestamp()
            ORDER BY msg_id LIMIT $1 FOR UPDATE SKIP LOCKED
        )
        UPDATE %1$I q SET vt = clock_timestamp() + $2, read_ct = q.read_ct + 1
        FROM picked p WHERE q.msg_id = p.msg_id RETURNING q.*', name) USING quantity, hide;
END $$;

CREATE FUNCTION put_away(name text, store text, ids bigint[]) RETURNS SETOF bigint
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE format('
        WITH gone AS (DELETE FROM %I WHERE msg_id = ANY ($1) RETURNING *)
        INSERT INTO %I (msg_id, read_ct, enqueued_at, vt, message, headers)
        SELECT * FROM gone RETURNING msg_id', name, store) USING ids;
END $$;
"""

ROUND = """
SELECT coalesce(array_agg(msg_id), '{}')::text AS ids,
    coalesce(string_agg(message::text, ' '), '') AS messages
FROM take('queue', '1 hour', %d) \\gset
SELECT count(*) FROM put_away('queue', 'archive', :ids::bigint[]);
"""


def prepare(database, spec, count):
    """The queue, with so many messages of our spec."""
    database.sql(f"""{SCHEMA}
        INSERT INTO queue (vt, message)
        SELECT now(), {spec} FROM generate_series(1, {count}) AS i;
        VACUUM ANALYZE;""")


def drain(database, batch, clients, jobs):
    """Reads and archives so many."""
    log = database.wal_bytes()
    _, seconds = database.pgbench(
        ROUND % batch, clients, "-t", str(max(1, jobs // (batch * clients))))
    log = database.wal_bytes() - log
    return Drained(int(database.sql("SELECT count(*) FROM archive")), seconds, log)
