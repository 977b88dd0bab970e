// SPDX-License-Identifier: Apache-2.0
import Postgres
import Tasks
import Testing

@Suite("Shadows whose task has no use for them any more", .database, .timeLimit(.minutes(10)))
struct TaskShadowTests {
    /// Each task and its shadow: 1 and 2, 3 and 4, and so on.
    private static func with(
        tasks count: Int,
        _ more: String = "",
        _ body: (Connection) async throws -> Void
    ) async throws {
        try await withDatabase(tasks: count, more) { _, connection in try await body(connection) }
    }

    private static func withDatabase(
        tasks count: Int,
        _ more: String = "",
        _ body: (TaskDatabase, Connection) async throws -> Void
    ) async throws {
        try await TaskDatabase.with { database in
            try await database.withConnection { connection in
                try await connection.script(
                    """
                    SELECT sandboxd.register_worker('h', 60, 'host');
                    SELECT sandboxd.register_worker('s', 60);
                    SELECT sandboxd.set_canary('code', '{"percent": 0, "shadow": true}');
                    SELECT sandboxd.enqueue('code', '{"argv":["a"]}'\(more))
                    FROM generate_series(1, \(count));
                    """,
                    deadline: .seconds(20)
                )
                try await body(database, connection)
                try await Invariants.expectNone(connection)
            }
        }
    }

    private static let states = """
        SELECT string_agg(id || ' ' || status, ', ' ORDER BY id) AS value FROM sandboxd.task_queue
        """
    private static let pairs = "SELECT count(*) AS value FROM sandboxd.task_shadows"

    private static let compare = "SELECT compared AS value FROM sandboxd.compare_shadows()"

    private static func run(_ connection: Connection, _ sql: String) async throws {
        try await connection.script(sql, deadline: .seconds(20))
    }

    /// Leases all, for the host and for the sandbox.
    private static func leaseAll(_ connection: Connection) async throws {
        try await run(
            connection,
            "SELECT * FROM sandboxd.lease(1, 200); SELECT * FROM sandboxd.lease(2, 200);"
        )
    }

    /// Completes all that is leased, each with the output that the expression says.
    private static func complete(
        _ connection: Connection,
        output: String = "'same'"
    ) async throws {
        _ = try await connection.rows(
            """
            SELECT sandboxd.complete(array_agg(task_id), array_agg(fence), array_agg('ok'::text),
                array_agg(0), array_agg(1), array_agg(1), array_agg(10), array_agg(0),
                array_agg(json_build_object('stdout_sha256', \(output), 'stdout_bytes', 4)::text))
            FROM sandboxd.task_leases
            """
        )
    }

    @Test(
        "a task that is cancelled takes its waiting shadow with it",
        arguments: ["", ", p_run_at => now() + interval '1 hour'"]
    )
    func cancelled(more: String) async throws {
        try await Self.with(tasks: 2, more) { connection in
            let waits = more.isEmpty ? "ready" : "delayed"
            let state = try await connection.value("SELECT sandboxd.cancel(1) AS value")
            #expect(state == "cancelled")
            #expect(
                try await connection.value(Self.states)
                    == "1 cancelled, 2 cancelled, 3 \(waits), 4 \(waits)"
            )
            #expect(try await connection.value(Self.pairs) == "1")
        }
    }

    @Test("a shadow that runs is called off with its task")
    func running() async throws {
        try await Self.with(tasks: 1) { connection in
            try await Self.run(connection, "SELECT * FROM sandboxd.lease(2, 9)")
            #expect(try await connection.value("SELECT sandboxd.cancel(1) AS value") == "cancelled")
            let told = try await connection.value(
                """
                SELECT why AS value
                FROM sandboxd.heartbeat(2, 60, '{2}', '{1}', '{0}', '{0}', '{0}', '{0}')
                """
            )
            #expect(told == "cancel")
        }
    }

    @Test("a shadow that began before the canary was set does not count, and one after it does")
    func beganBefore() async throws {
        try await Self.with(tasks: 2) { connection in
            let set = """
                SELECT sandboxd.set_canary('code',
                    '{"percent": 0.01, "bound_percent": 20, "bound_runs": 1}')
                """
            for (isLate, trips) in [(false, "0"), (true, "1")] {
                if isLate { try await Self.run(connection, set) }
                try await Self.run(
                    connection,
                    "SELECT * FROM sandboxd.lease(1, 1); SELECT * FROM sandboxd.lease(2, 1);"
                )
                if !isLate { try await Self.run(connection, set) }
                try await Self.complete(connection, output: "task_id")
                #expect(try await connection.value(Self.compare) == "1")
                let tripped = "SELECT count(*) AS value FROM sandboxd.check_canaries()"
                #expect(try await connection.value(tripped) == trips)
            }
        }
    }

    @Test("who has the shadow in hand just now is not waited for")
    func inHand() async throws {
        try await TaskDatabase.with { database in
            try await database.run(
                """
                SELECT sandboxd.set_canary('code', '{"percent": 0, "shadow": true}');
                SELECT sandboxd.enqueue('code', '{"argv":["a"]}');
                """
            )
            try await database.withConnection { connection in
                try await Self.run(connection, "SET statement_timeout = '5s'")
                try await database.holding("FROM sandboxd.tasks WHERE task_id = 2 FOR UPDATE") {
                    let state = try await connection.value("SELECT sandboxd.cancel(1) AS value")
                    #expect(state == "cancelled")
                }
            }
        }
    }

    @Test("a task that moves to the sandbox leaves no shadow that runs or is compared")
    func moved() async throws {
        try await Self.with(tasks: 1) { connection in
            _ = try await connection.rows(
                "SELECT sandboxd.set_canary('code', '{\"percent\": 100}')"
            )
            _ = try await connection.rows("SELECT sandboxd.rebucket()")
            #expect(try await connection.value(Self.pairs) == "0")
            let leased = try await connection.rows("SELECT task_id FROM sandboxd.lease(2, 9)")
            #expect(try leased.map { try $0.int("task_id") } == [1])
            #expect(try await connection.value(Self.states) == "1 running, 2 cancelled")
        }
    }

    @Test("nor does one that was delayed, and belongs to the sandbox when its time comes")
    func delayed() async throws {
        try await Self.with(tasks: 1, ", p_run_at => now() + interval '1 hour'") { connection in
            try await Self.run(
                connection,
                """
                SELECT sandboxd.set_canary('code', '{"percent": 100}');
                UPDATE sandboxd.task_delayed SET run_at = now() - interval '1 second';
                SELECT sandboxd.promote();
                """
            )
            let leased = try await connection.rows("SELECT task_id FROM sandboxd.lease(2, 9)")
            #expect(try leased.map { try $0.int("task_id") } == [1])
            #expect(try await connection.value(Self.states) == "1 running, 2 cancelled")
        }
    }

    /// It comes back after a failure, by when the percentage is another.
    @Test("a task that ended in the sandbox is not compared as one of the host")
    func failedOver() async throws {
        try await Self.with(tasks: 2) { connection in
            try await Self.run(
                connection,
                """
                SELECT * FROM sandboxd.lease(1, 1);
                SELECT * FROM sandboxd.lease(2, 9);
                SELECT sandboxd.set_canary('code', '{"percent": 100}');
                SELECT sandboxd.complete('{1}', '{1}', '{engine_error}', '{null}', '{0}', '{0}', '{0}',
                    '{0}');
                UPDATE sandboxd.task_delayed SET run_at = now() - interval '1 second';
                SELECT sandboxd.promote();
                SELECT * FROM sandboxd.lease(2, 9);
                """
            )
            try await Self.complete(connection)
            #expect(try await connection.value(Self.states)?.hasPrefix("1 succeeded, 2 ") == true)
            #expect(
                try await connection.value(Self.compare) == "0"
            )
        }
    }

    @Test("one that ended on the host is compared, though the percentage has changed since")
    func endedBefore() async throws {
        try await Self.with(tasks: 2) { connection in
            try await Self.leaseAll(connection)
            try await Self.run(
                connection,
                """
                SELECT sandboxd.set_canary('code', '{"percent": 100}');
                SELECT sandboxd.complete('{1,2}', '{1,1}', '{exit,exit}', '{3,3}', '{0,0}', '{0,0}',
                    '{0,0}', '{0,0}');
                """
            )
            try await Self.complete(connection)
            #expect(
                try await connection.value(Self.compare) == "2"
            )
        }
    }

    @Test("a report with NUL, or of any other shape, keeps no pair from being compared")
    func oddReports() async throws {
        try await Self.with(tasks: 6) { connection in
            try await Self.leaseAll(connection)
            try await Self.run(
                connection,
                #"""
                SELECT sandboxd.complete(array_agg(l.task_id), array_agg(l.fence),
                    array_agg(CASE l.task_id WHEN 9 THEN 'exit' ELSE 'ok' END),
                    array_agg(CASE l.task_id WHEN 9 THEN 3 ELSE 0 END), array_agg(1), array_agg(1),
                    array_agg(10), array_agg(0), array_agg(r.report))
                FROM sandboxd.task_leases l LEFT JOIN (VALUES
                    (1, '{"stdout": "a\u0000b", "stdout_sha256": "x", "stdout_bytes": 3}'),
                    (2, '{"stdout": "a\u0000b", "stdout_sha256": "y", "stdout_bytes": 3}'),
                    (3, '{"stdout_sha256": "x", "stdout_bytes": "many"}'),
                    (5, '{"artifacts": [{"sha256": "x"}, 7]}'),
                    (7, '{"stdout": "\ud800", "usage": {"memory_peak_bytes": 1e99}}'),
                    (9, '["\u0000"]'),
                    (11, '{"artifacts": ' || repeat('[', 3000) || repeat(']', 3000) || '}')) AS r (task_id, report) USING (task_id);
                """#
            )
            #expect(try await connection.value(Self.compare) == "6")
            let lines = try await connection.value(
                """
                SELECT string_agg(task_key || ': ' || array_to_string(differences, '|'), '; '
                    ORDER BY task_key) AS value FROM sandboxd.comparisons
                """
            )
            #expect(
                lines
                    == "1: stdout: 3 bytes on the host, 3 bytes in the sandbox, not the same; "
                    + "11: ; 3: ; 5: ; 7: ; 9: exit: 3 on the host, 0 in the sandbox"
            )
        }
    }

    @Test("nodes that compare at the same time compare each pair once, and none waits for another")
    func atOnce() async throws {
        try await Self.withDatabase(tasks: 100) { database, connection in
            try await Self.leaseAll(connection)
            try await Self.complete(connection)
            let row = "FROM sandboxd.task_shadows WHERE task_id = 5 FOR UPDATE"
            try await database.holding(row) {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for _ in 0..<4 {
                        group.addTask {
                            try await database.withConnection { node in
                                try await Self.run(node, "SET statement_timeout = '10s'")
                                _ = try await node.value(Self.compare)
                            }
                        }
                    }
                    try await group.waitForAll()
                }
                #expect(try await connection.value(Self.pairs) == "1")
            }
            #expect(try await connection.value(Self.compare) == "1")
            let compared = "SELECT count(*) AS value FROM sandboxd.comparisons"
            #expect(try await connection.value(compared) == "100")
            let keys = "SELECT count(DISTINCT task_key) AS value FROM sandboxd.comparisons"
            #expect(try await connection.value(keys) == "100")
        }
    }

    @Test("one look is at so many pairs, and the next goes on behind them")
    func looks() async throws {
        try await Self.with(tasks: 4) { connection in
            try await Self.leaseAll(connection)
            try await Self.run(
                connection,
                """
                SELECT sandboxd.complete(array_agg(task_id), array_agg(fence), array_agg('ok'::text),
                    array_agg(0), array_agg(1), array_agg(1), array_agg(10), array_agg(0))
                FROM sandboxd.task_leases WHERE task_id > 2;
                """
            )
            func look(after place: Int) async throws -> String? {
                try await connection.value(
                    "SELECT compared || ' ' || next AS value FROM sandboxd.compare_shadows(\(place), 2)"
                )
            }
            #expect(try await look(after: 0) == "1 3")
            #expect(try await look(after: 3) == "2 7")
            #expect(try await look(after: 7) == "0 0")
            #expect(try await connection.value(Self.pairs) == "1")
            try await Self.complete(connection)
            #expect(try await look(after: 0) == "1 0")
        }
    }
}
