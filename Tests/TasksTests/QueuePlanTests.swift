// SPDX-License-Identifier: Apache-2.0
import Postgres
import Testing

/// What the statements read, counted by the server: plans must not depend on how full the tables are,
/// nor on when they were analyzed.
@Suite("The cost of the queue", .database, .serialized, .timeLimit(.minutes(10)))
struct QueuePlanTests {
    /// How the planner knows the tables.
    enum Statistics: String, CaseIterable, Sendable {
        case none
        case fresh
        /// Of a time when the queue was empty.
        case empty
    }

    /// Makes many tasks ready in one lane, and one worker.
    private static func fill(
        _ connection: Connection,
        _ statistics: Statistics,
        tasks count: Int = 100_000
    ) async throws {
        let analyze =
            "ANALYZE sandboxd.tasks, sandboxd.task_ready, sandboxd.task_leases,"
            + " sandboxd.task_delayed, sandboxd.task_keys, sandboxd.budgets;"
        try await connection.script(
            """
            ALTER TABLE sandboxd.tasks SET (autovacuum_enabled = off);
            ALTER TABLE sandboxd.task_ready SET (autovacuum_enabled = off);
            ALTER TABLE sandboxd.task_leases SET (autovacuum_enabled = off);
            SELECT sandboxd.register_worker('a', 3600);
            \(statistics == .empty ? analyze : "")
            INSERT INTO sandboxd.tasks (lane, profile, cpu_ms, memory_mib_s, wall_ms, egress_bytes,
                memory_mib, spec)
            SELECT 1, 'code', 1000, 512, 2000, 0, 256, '{"argv": ["true"]}'
            FROM generate_series(1, \(count));
            INSERT INTO sandboxd.task_ready (lane, rank, task_id, fence, attempt)
            SELECT 1, 0, task_id, 1, 1 FROM sandboxd.tasks ORDER BY task_id;
            CREATE TABLE public.reads (what text, rows bigint);
            \(statistics == .fresh ? analyze : "")
            """,
            deadline: .seconds(60)
        )
    }

    /// Rows that a statement reads, by the counters of its own transaction.
    private static func rows(_ connection: Connection, _ sql: String) async throws -> Int {
        try await connection.script(
            """
            TRUNCATE public.reads;
            DO $do$
            DECLARE v_before bigint; v_after bigint;
            BEGIN
                SELECT sum(seq_tup_read) + sum(idx_tup_fetch) INTO v_before
                FROM pg_stat_xact_user_tables WHERE schemaname = 'sandboxd';
                PERFORM \(sql);
                SELECT sum(seq_tup_read) + sum(idx_tup_fetch) INTO v_after
                FROM pg_stat_xact_user_tables WHERE schemaname = 'sandboxd';
                INSERT INTO public.reads VALUES ('rows', v_after - v_before);
            END $do$
            """,
            deadline: .seconds(60)
        )
        let value = try await connection.value("SELECT rows AS value FROM public.reads")
        return Int(value ?? "") ?? .max
    }

    @Test(
        "what a lease and a completion read depends on their batch alone",
        arguments: Statistics.allCases
    )
    func reads(statistics: Statistics) async throws {
        try await TaskDatabase.with { database in
            try await database.withConnection { connection in
                try await Self.fill(connection, statistics)
                // The counter sees a statement that reads them all.
                let all = try await Self.rows(connection, "FROM sandboxd.tasks WHERE rank = 1")
                #expect(all >= 100_000)
                for round in 0..<8 {
                    let lease = try await Self.rows(connection, "FROM sandboxd.lease(1, 50)")
                    #expect(lease < 50 * 12, "lease \(round)")
                    let beat = try await Self.rows(
                        connection,
                        """
                        FROM (SELECT array_agg(task_id) AS t, array_agg(fence) AS f,
                            array_agg(beat_cpu_ms) AS c FROM sandboxd.task_leases) AS l,
                            LATERAL sandboxd.heartbeat(1, 600, t, f, c, c, c, c)
                        """
                    )
                    #expect(beat < 50 * 12, "heartbeat \(round)")
                    let complete = try await Self.rows(
                        connection,
                        """
                        FROM (SELECT array_agg(task_id) AS t, array_agg(fence) AS f,
                            array_agg('ok'::text) AS v, array_agg(beat_cpu_ms) AS c
                            FROM sandboxd.task_leases) AS l,
                            LATERAL sandboxd.complete(t, f, v, '{}', c, c, c, c)
                        """
                    )
                    #expect(complete < 50 * 12, "complete \(round)")
                    let cancel = try await Self.rows(connection, "sandboxd.cancel(99999)")
                    // It looks through the head of the lane, and no further.
                    #expect(cancel < 10_020, "cancel \(round)")
                }
            }
        }
    }

    @Test(
        "what a step of a move reads, and a lease beside it, depends on the step alone",
        arguments: Statistics.allCases
    )
    func moves(statistics: Statistics) async throws {
        try await TaskDatabase.with { database in
            try await database.withConnection { connection in
                try await Self.fill(connection, statistics, tasks: 20_000)
                let set = try await Self.rows(
                    connection,
                    "sandboxd.set_canary('code', '{\"percent\": 50}')"
                )
                #expect(set < 100)
                for round in 0..<4 {
                    let step = try await Self.rows(connection, "FROM sandboxd.rebucket(500)")
                    #expect(step < 500 * 16, "step \(round)")
                    // It asks of two hundred where they belong.
                    let lease = try await Self.rows(connection, "FROM sandboxd.lease(1, 50)")
                    #expect(lease < 200 * 8 + 50 * 12, "lease \(round)")
                }
            }
        }
    }

    @Test(
        "what is held, cancelled or compared one by one reads nothing of what waits beside it",
        arguments: Statistics.allCases
    )
    func beside(statistics: Statistics) async throws {
        try await TaskDatabase.with { database in
            try await database.withConnection { connection in
                try await Self.fill(connection, statistics, tasks: 20_000)
                try await connection.script(
                    """
                    INSERT INTO sandboxd.task_delayed (run_at, task_id, lane, rank, fence, attempt)
                    SELECT now() + interval '1 hour', task_id, lane, 0, 1, 1 FROM sandboxd.tasks;
                    DELETE FROM sandboxd.task_ready WHERE task_id % 2 = 0;
                    DELETE FROM sandboxd.task_delayed WHERE task_id % 2 = 1;
                    INSERT INTO sandboxd.task_shadows SELECT task_id, task_id + 1 FROM sandboxd.tasks
                    WHERE task_id % 2 = 1;
                    UPDATE sandboxd.profiles SET approval = 'required' WHERE profile = 'code';
                    """,
                    deadline: .seconds(60)
                )
                for round in 0..<8 {
                    let held = try await Self.rows(
                        connection,
                        "sandboxd.enqueue('code', '{\"argv\": [\"true\"]}')"
                    )
                    #expect(held < 100, "enqueue \(round)")
                    let cancel = try await Self.rows(connection, "sandboxd.cancel(10000)")
                    #expect(cancel < 100, "cancel \(round)")
                    let look = try await Self.rows(
                        connection,
                        "FROM sandboxd.compare_shadows(0, 500)"
                    )
                    #expect(look < 500 * 6, "look \(round)")
                }
                let held = try await connection.value(
                    "SELECT count(*) AS value FROM sandboxd.task_held"
                )
                #expect(held == "8")
            }
        }
    }

    @Test("thousands of cancelled tasks at the head of a lane do not starve the rest")
    func cancelledHead() async throws {
        try await TaskDatabase.with { database in
            try await database.withConnection { connection in
                try await connection.script(
                    """
                    SELECT sandboxd.register_worker('a', 3600);
                    SELECT count(*) FROM sandboxd.enqueue_many((SELECT jsonb_agg(
                        '{"profile":"code","spec":{"argv":["true"]}}'::jsonb)
                        FROM generate_series(1, 5000)));
                    UPDATE sandboxd.tasks SET cancel_requested = true;
                    SELECT sandboxd.enqueue('code', '{"argv":["true"]}');
                    """,
                    deadline: .seconds(60)
                )
                let leased = try await connection.rows("SELECT task_id FROM sandboxd.lease(1, 4)")
                #expect(try leased.map { try $0.int("task_id") } == [5001])
                try await Invariants.expectNone(connection)
            }
        }
    }

    /// The planner believes that an array has ten elements once it plans for any.
    @Test("large batches stay fast when they are many")
    func largeBatches() async throws {
        try await TaskDatabase.with { database in
            try await database.withConnection { connection in
                let clock = ContinuousClock()
                for round in 0..<8 {
                    let spent = try await clock.measure {
                        _ = try await connection.rows(
                            """
                            SELECT count(*) FROM sandboxd.enqueue_many((SELECT jsonb_agg(
                                jsonb_build_object('profile', 'code', 'key', $1::text || ' ' || n,
                                'spec', '{"argv":["true"]}'::jsonb))
                                FROM generate_series(1, 3000) AS n))
                            """,
                            "\(round)"
                        )
                    }
                    #expect(spent < .seconds(8), "batch \(round)")
                }
            }
        }
    }
}
