// SPDX-License-Identifier: Apache-2.0
import Postgres
import Tasks
import Testing

@Suite("What is kept, and for how long", .database, .timeLimit(.minutes(10)))
struct RetentionTests {
    @Test("upkeep makes the next days' partitions and drops those that are too old")
    func partitions() async throws {
        try await TaskDatabase.with { database in
            try await database.run(
                """
                CREATE TABLE sandboxd.task_attempts_20200101 PARTITION OF sandboxd.task_attempts
                    FOR VALUES FROM ('2020-01-01 00:00+00') TO ('2020-01-02 00:00+00');
                INSERT INTO sandboxd.task_attempts (task_id, fence, attempt, attempt_id, worker_id,
                    budget_id, leased_at, finished_at, verdict, cpu_ms, memory_mib_s, wall_ms, runs,
                    egress_bytes, money_nanos, charged_from)
                SELECT n, 1, 1, gen_random_uuid(), 1, 1, t, t, 'ok', 1, 1, 1, 1, 0, 0, 'measured'
                FROM (VALUES (1, '2020-01-01 12:00+00'::timestamptz),
                    (2, '2019-01-01 12:00+00'), (3, now())) AS v (n, t);
                """
            )
            try await database.withConnection { connection in
                let dropped = try await connection.value("SELECT sandboxd.maintain(30) AS value")
                #expect(dropped == "1")
                let left = try await connection.value(
                    "SELECT array_agg(task_id)::text AS value FROM sandboxd.task_attempts"
                )
                #expect(left == "{3}")
                let days = try await connection.value(
                    """
                    SELECT count(*) AS value FROM generate_series(0, 3) AS d
                    WHERE to_regclass('sandboxd.task_attempts_' || to_char(
                        (now() AT TIME ZONE 'UTC')::date + d, 'YYYYMMDD')) IS NOT NULL
                    """
                )
                #expect(days == "4")
                let again = try await connection.value("SELECT sandboxd.maintain(30) AS value")
                #expect(again == "0")
                let error = await failure { () throws(PostgresError) in
                    try await connection.rows("SELECT sandboxd.maintain(0)")
                }
                #expect(error?.sqlState == "SB002")
            }
        }
    }

    /// Whoever waits for the whole table makes all who come later wait behind himself.
    @Test("upkeep leaves partitions for later while somebody reads the history")
    func busyHistory() async throws {
        let tomorrow = """
            SELECT to_regclass('sandboxd.task_attempts_' || to_char(
                (now() AT TIME ZONE 'UTC')::date + 1, 'YYYYMMDD')) IS NOT NULL AS value
            """
        try await TaskDatabase.with { database in
            try await database.run(
                """
                DO $$ BEGIN
                    EXECUTE 'DROP TABLE sandboxd.task_attempts_' || to_char(
                        (now() AT TIME ZONE 'UTC')::date + 1, 'YYYYMMDD');
                END $$
                """
            )
            try await database.withConnection { connection in
                _ = try await connection.rows("SELECT pg_advisory_lock(7)")
                async let reading: Void = database.run(
                    """
                    SELECT pg_advisory_lock(7), (SELECT count(*) FROM sandboxd.task_attempts)
                    """
                )
                try await Self.wait(connection, for: "advisory")
                // Not by who holds up the reader: that would be a circle.
                try await database.run("SELECT sandboxd.maintain()")
                let isLeft = try await connection.value(tomorrow)
                #expect(isLeft == "f")
                _ = try await connection.rows("SELECT pg_advisory_unlock(7)")
                try await reading
                _ = try await connection.rows("SELECT sandboxd.maintain()")
                let isMade = try await connection.value(tomorrow)
                #expect(isMade == "t")
            }
        }
    }

    /// Waits until somebody in this database waits for such a lock.
    private static func wait(_ connection: Connection, for lock: String) async throws {
        try await connection.script(
            """
            DO $$ BEGIN
                FOR i IN 1..2000 LOOP
                    PERFORM pg_stat_clear_snapshot();
                    IF EXISTS (SELECT FROM pg_stat_activity
                        WHERE datname = current_database() AND wait_event = '\(lock)') THEN
                        RETURN;
                    END IF;
                    PERFORM pg_sleep(0.005);
                END LOOP;
                RAISE 'nobody waits';
            END $$
            """,
            deadline: .seconds(20)
        )
    }

    @Test("attempts are kept when their day has no partition")
    func rest() async throws {
        try await TaskDatabase.with { database in
            try await database.run(
                """
                DO $$ DECLARE v_name text; BEGIN
                    FOR v_name IN SELECT relname FROM pg_class
                        WHERE relname ~ '^task_attempts_[0-9]{8}$' LOOP
                        EXECUTE 'DROP TABLE sandboxd.' || v_name;
                    END LOOP;
                END $$;
                SELECT sandboxd.register_worker('a', 60);
                SELECT sandboxd.enqueue('code', '{"argv":["true"]}');
                SELECT count(*) FROM sandboxd.lease(1, 1);
                SELECT sandboxd.complete('{1}', '{1}', '{ok}', '{0}', '{1}', '{1}', '{1}', '{0}');
                SELECT sandboxd.maintain(30);
                """
            )
            try await database.withConnection { connection in
                let place = try await connection.value(
                    "SELECT tableoid::regclass::text AS value FROM sandboxd.task_attempts"
                )
                #expect(place == "sandboxd.task_attempts_rest")
                try await Invariants.expectNone(connection)
            }
        }
    }

    @Test("upkeep keeps a blob that a task holds or that is fresh, and removes an old one")
    func blobs() async throws {
        try await TaskDatabase.with { database in
            try await database.run(
                """
                INSERT INTO sandboxd.blobs (sha256, content, touched_at)
                SELECT sha256(c::bytea), c::bytea, now() - age::interval FROM (VALUES
                    ('held', '40 days'), ('fresh', '1 hour'), ('old', '40 days'),
                    ('ended', '40 days')) AS v (c, age);
                SELECT sandboxd.enqueue_many(jsonb_build_array(
                    jsonb_build_object('profile', 'code', 'spec', '{"argv":["true"]}'::jsonb,
                        'blobs', jsonb_build_array(encode(sha256('held'), 'hex'))),
                    jsonb_build_object('profile', 'code', 'spec', '{"argv":["true"]}'::jsonb,
                        'key', 'k', 'blobs', jsonb_build_array(encode(sha256('ended'), 'hex')))));
                UPDATE sandboxd.blobs SET touched_at = now() - interval '40 days'
                WHERE content IN ('held', 'ended');
                SELECT sandboxd.cancel(2);
                SELECT sandboxd.register_worker('a', 60);
                SELECT count(*) FROM sandboxd.lease(1, 2);
                UPDATE sandboxd.tasks SET finished_at = now() - interval '31 days' WHERE state <> 0;
                """
            )
            try await database.withQueue { try await $0.maintain(keepDays: 30) }
            try await database.withConnection { connection in
                let left = try await connection.value(
                    """
                    SELECT string_agg(convert_from(content, 'UTF8'), ' ' ORDER BY content) AS value
                    FROM sandboxd.blobs
                    """
                )
                #expect(left == "fresh held")
                let rest = try await connection.rows(
                    """
                    SELECT (SELECT count(*) FROM sandboxd.tasks) AS tasks,
                        (SELECT count(*) FROM sandboxd.task_keys) AS keys,
                        (SELECT count(*) FROM sandboxd.task_blobs) AS holds
                    """
                ).only()
                #expect(try rest.int("tasks") == 1)
                #expect(try rest.int("keys") == 0)
                #expect(try rest.int("holds") == 1)
            }
        }
    }

    /// An enqueue that names an old blob keeps it, also from an upkeep that has begun before.
    @Test("a blob that a batch names is touched")
    func touched() async throws {
        try await TaskDatabase.with { database in
            try await database.run(
                """
                INSERT INTO sandboxd.blobs VALUES (sha256('a'), 'a', now() - interval '40 days');
                SELECT sandboxd.enqueue_many(jsonb_build_array(jsonb_build_object('profile', 'code',
                    'spec', '{"argv":["true"]}'::jsonb,
                    'blobs', jsonb_build_array(encode(sha256('a'), 'hex')))));
                """
            )
            try await database.withConnection { connection in
                let isFresh = try await connection.value(
                    "SELECT touched_at > now() - interval '1 minute' AS value FROM sandboxd.blobs"
                )
                #expect(isFresh == "t")
            }
        }
    }

    /// A thousand old tasks for each young one, some of which are not over.
    private static func fill(_ database: TaskDatabase) async throws {
        try await database.run(
            """
            SELECT count(*) FROM sandboxd.enqueue_many((SELECT jsonb_agg(jsonb_build_object(
                'profile', 'code', 'spec', '{"argv":["true"]}'::jsonb, 'key', 'key ' || n))
                FROM generate_series(1, 3000) AS n));
            UPDATE sandboxd.tasks SET created_at = now() - interval '40 days' WHERE task_id <= 2990;
            DELETE FROM sandboxd.task_ready WHERE task_id <= 2995 AND task_id % 100 <> 0;
            UPDATE sandboxd.tasks SET state = 1, verdict = 'ok',
                finished_at = created_at + interval '1 day'
            WHERE task_id <= 2995 AND task_id % 100 <> 0;
            INSERT INTO sandboxd.blobs (sha256, content, touched_at)
            SELECT sha256(n::text::bytea), '', now() - interval '2 days'
            FROM generate_series(1, 2500) AS n;
            INSERT INTO sandboxd.task_blobs
            SELECT n, sha256(n::text::bytea) FROM generate_series(50, 2500, 50) AS n;
            """
        )
    }

    @Test("what is too old is removed to the last, in steps that are short each")
    func steps() async throws {
        try await TaskDatabase.with { database in
            try await Self.fill(database)
            try await database.withConnection { connection in
                let step = try await connection.value(
                    "SELECT sandboxd.expire_tasks(30, 0, 500) AS value"
                )
                #expect(step == "500")
                let left = try await connection.value(
                    "SELECT count(*) AS value FROM sandboxd.tasks"
                )
                #expect(left == "\(3000 - 495)")
                // A step that finds nothing goes on all the same.
                let next = try await connection.value(
                    "SELECT sandboxd.expire_tasks(30, 0, 3) AS value"
                )
                #expect(next == "300")
            }
            try await database.withQueue { try await $0.maintain(keepDays: 30) }
            try await database.withConnection { connection in
                let row = try await connection.rows(
                    """
                    SELECT (SELECT count(*) FROM sandboxd.tasks WHERE task_id <= 2990) AS old,
                        (SELECT count(*) FROM sandboxd.tasks WHERE task_id > 2990) AS young,
                        (SELECT count(*) FROM sandboxd.task_keys) AS keys,
                        (SELECT count(*) FROM sandboxd.task_blobs) AS holds,
                        (SELECT count(*) FROM sandboxd.blobs) AS blobs
                    """
                ).only()
                // Those that are not over stay, whatever their age.
                #expect(try row.int("old") == 29)
                #expect(try row.int("young") == 10)
                #expect(try row.int("keys") == 39)
                #expect(try row.int("holds") == 25)
                #expect(try row.int("blobs") == 25)
            }
        }
    }

    @Test("a task that is brought back while upkeep is about to remove it stays")
    func broughtBack() async throws {
        try await TaskDatabase.with { database in
            try await Self.fill(database)
            try await database.run("UPDATE sandboxd.tasks SET state = 2 WHERE task_id = 5")
            try await database.withConnection { control in
                _ = try await control.rows("SELECT pg_advisory_lock(7)")
                async let retry: Void = database.run(
                    "DO $$ BEGIN PERFORM sandboxd.retry(5); PERFORM pg_advisory_lock(7); END $$"
                )
                try await Self.wait(control, for: "advisory")
                async let expiry: Void = database.run("SELECT sandboxd.expire_tasks(30)")
                try await Self.wait(control, for: "transactionid")
                _ = try await control.rows("SELECT pg_advisory_unlock(7)")
                try await retry
                try await expiry
                let kept = try await control.rows(
                    """
                    SELECT k.key FROM sandboxd.tasks t JOIN sandboxd.task_keys k USING (task_id)
                    WHERE task_id BETWEEN 1 AND 10
                    """
                )
                let keys = try kept.map { try $0.text("key") }
                #expect(keys == ["key 5"])
            }
        }
    }
}
