// SPDX-License-Identifier: Apache-2.0
import Glibc
import Postgres
import Tasks
import Testing

@Suite("The schema and its upkeep", .database, .timeLimit(.minutes(1))) struct MigrationTests {
    /// The folder of the files that are embedded.
    private static let folder =
        #filePath.split(separator: "/").dropLast(3)
        .reduce(into: "") { $0 += "/" + $1 } + "/Sources/Tasks/Schema"

    private static func files() -> [String] {
        guard let directory = opendir(folder) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name.hasSuffix(".sql") { names.append(String(name.dropLast(4))) }
        }
        return names.sorted()
    }

    @Test("the list of migrations is the folder, numbered from 1")
    func list() {
        #expect(Migrations.all.map(\.name) == Self.files())
        #expect(Migrations.all.map(\.version) == Array(1...Migrations.all.count))
        for migration in Migrations.all {
            // The tags that quote it.
            #expect(!migration.sql.contains("$migrat"))
        }
    }

    @Test("who migrates twice changes nothing the second time")
    func twice() async throws {
        try await TaskDatabase.with(isMigrated: false) { database in
            try await database.withClient { client in
                let before = try await Migrations.state(of: client)
                #expect(before == .absent)
                let names = try await Migrations.migrate(client)
                #expect(names == Migrations.all.map(\.name))
                let after = try await Migrations.state(of: client)
                #expect(after == .current)
                let again = try await Migrations.migrate(client)
                #expect(again == [])
            }
            try await database.withConnection { connection in
                let count = try await connection.value(
                    "SELECT count(*) AS value FROM sandboxd.schema_migrations"
                )
                #expect(count == "\(Migrations.all.count)")
            }
        }
    }

    @Test("a newer schema is refused and left alone")
    func newer() async throws {
        try await TaskDatabase.with { database in
            let next = Migrations.all.count + 1
            try await database.run(
                "INSERT INTO sandboxd.schema_migrations VALUES (\(next), 'from the future')"
            )
            try await database.withClient { client in
                let state = try await Migrations.state(of: client)
                #expect(state == .newer(version: next))
                await #expect(throws: TaskError.self) { try await Migrations.migrate(client) }
            }
        }
    }

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
                try await connection.script(Self.waitForReader, deadline: .seconds(20))
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

    private static let waitForReader = """
        DO $$ BEGIN
            FOR i IN 1..2000 LOOP
                IF EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted) THEN
                    RETURN;
                END IF;
                PERFORM pg_sleep(0.005);
            END LOOP;
            RAISE 'nobody waits';
        END $$
        """

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
                UPDATE sandboxd.task_keys SET created_at = now() - interval '31 days';
                SELECT sandboxd.maintain(30);
                """
            )
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
}
