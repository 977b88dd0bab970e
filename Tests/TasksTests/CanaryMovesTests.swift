// SPDX-License-Identifier: Apache-2.0
import Postgres
import Tasks
import Testing

/// A percentage that changes while much waits: it holds at once, and what waits follows in steps.
@Suite("A backlog that moves between the host and sandboxes", .database, .timeLimit(.minutes(10)))
struct CanaryMovesTests {
    private static let backlog = 50_000
    /// One statement for the whole backlog takes longer, and a step less than a tenth of it.
    private static let statementTimeout = Duration.seconds(1)

    private static let perPool = """
        SELECT string_agg(pool || ' ' || n, ', ' ORDER BY pool) AS value FROM (
            SELECT l.pool, count(*) AS n FROM sandboxd.task_ready r
            JOIN sandboxd.lanes l ON l.lane = r.lane JOIN sandboxd.tasks t USING (task_id)
            WHERE t.lane = r.lane GROUP BY l.pool) AS p
        """

    /// Makes tasks ready in the lane of sandboxes, every second with a key.
    private static func fill(_ connection: Connection, _ count: Int) async throws {
        try await connection.script(
            """
            INSERT INTO sandboxd.tasks (lane, profile, cpu_ms, memory_mib_s, wall_ms, egress_bytes,
                memory_mib, spec)
            SELECT 1, 'code', 1000, 512, 2000, 0, 256, '{"argv": ["true"]}'
            FROM generate_series(1, \(count));
            INSERT INTO sandboxd.task_keys (key, task_id, spec_sha256)
            SELECT 'k' || task_id, task_id, '' FROM sandboxd.tasks WHERE task_id % 2 = 0;
            INSERT INTO sandboxd.task_ready (lane, rank, task_id, fence, attempt)
            SELECT 1, 0, task_id, 1, 1 FROM sandboxd.tasks ORDER BY task_id;
            SELECT sandboxd.register_worker('s', 3600);
            SELECT sandboxd.register_worker('h', 3600, 'host');
            """,
            deadline: .seconds(60)
        )
    }

    private static func leased(
        _ connection: Connection,
        by worker: Int,
        _ most: Int = 20
    ) async throws -> [Int] {
        try await connection.rows(
            "SELECT task_id FROM sandboxd.lease(\(worker), \(most)) ORDER BY task_id"
        ).map { try $0.int("task_id") }
    }

    /// Rounds of upkeep, until all are where they should be. One step of many may have been too slow
    /// on a busy machine; it is done again.
    private static func expectAll(
        in pool: String,
        _ connection: Connection,
        _ queue: TaskQueue
    ) async throws {
        var rounds = 0
        while try await connection.value(perPool) != "\(pool) \(backlog)" {
            rounds += 1
            try #require(rounds < 30)
            _ = try await queue.checkCanaries()
        }
    }

    @Test("tens of thousands follow a percentage, though no statement may take long")
    func large() async throws {
        try await TaskDatabase.with { database in
            try await database.withConnection { connection in
                try await Self.fill(connection, Self.backlog)
                try await database.withQueue(statementTimeout: Self.statementTimeout) { queue in
                    let there = try await queue.setCanary("code", #"{"percent": 0}"#)
                    #expect(there > 0)
                    try await Self.expectAll(in: "host", connection, queue)
                    let back = try await queue.setCanary(
                        "code",
                        #"{"percent": 100, "bound_percent": 10, "bound_runs": 10}"#
                    )
                    #expect(back > 0)
                    try await Self.expectAll(in: "sandbox", connection, queue)
                    // And when it goes wrong, all go back by themselves.
                    try await database.run(
                        "UPDATE sandboxd.canaries SET set_at = now() - interval '10 minutes'"
                    )
                    try await queue.count([.init("code", "exit", 9)])
                    #expect(try await queue.checkCanaries().map(\.profile) == ["code"])
                    try await Self.expectAll(in: "host", connection, queue)
                }
                try await Invariants.expectNone(connection)
            }
        }
    }

    @Test("from a percentage's commit on, no lease takes what belongs elsewhere by then")
    func atOnce() async throws {
        try await TaskDatabase.with { database in
            try await database.withConnection { connection in
                try await Self.fill(connection, 1500)
                // Behind them all, one that is pinned; before them, one of another profile.
                try await connection.script(
                    """
                    SELECT sandboxd.enqueue('code', '{"argv":["true"]}', p_pool => 'sandbox');
                    SELECT sandboxd.enqueue('big', '{"argv":["true"]}', p_priority => 1);
                    """,
                    deadline: .seconds(20)
                )
                #expect(try await Self.leased(connection, by: 1) == Array(1...19) + [1502])
                _ = try await connection.rows(
                    "SELECT sandboxd.set_canary('code', '{\"percent\": 0}')"
                )
                // Nothing has moved yet.
                #expect(try await connection.value(Self.perPool) == "sandbox 1482")
                #expect(try await Self.leased(connection, by: 1) == [])
                // One step moves what the host would be given first.
                let first = try await connection.rows(
                    "SELECT moved, is_left FROM sandboxd.rebucket(250)"
                ).only()
                #expect(try first.int("moved") == 250)
                #expect(try first.bool("is_left"))
                #expect(try await Self.leased(connection, by: 2, 2) == [20, 21])
                #expect(try await Self.leased(connection, by: 1) == [])
                _ = try await connection.rows("SELECT sandboxd.rebucket(10000)")
                #expect(try await Self.leased(connection, by: 1) == [1501])
                #expect(try await Self.leased(connection, by: 2, 2) == [22, 23])
                try await Invariants.expectNone(connection)
            }
        }
    }

    /// What is right for its pool waits for nobody that is not.
    @Test("of a mixed lane, a lease takes what is where it belongs")
    func mixed() async throws {
        try await TaskDatabase.with { database in
            try await database.withConnection { connection in
                try await Self.fill(connection, 40)
                _ = try await connection.rows(
                    "SELECT sandboxd.set_canary('code', '{\"percent\": 50}')"
                )
                let wanted = try await connection.rows(
                    """
                    SELECT n FROM generate_series(1, 40) AS n WHERE sandboxd.canary_bucket(
                        CASE WHEN n % 2 = 0 THEN 'k' || n ELSE n::text END) < 5000 ORDER BY n
                    """
                ).map { try $0.int("n") }
                #expect((10...30).contains(wanted.count))
                #expect(try await Self.leased(connection, by: 1, 40) == wanted)
                _ = try await connection.rows("SELECT sandboxd.rebucket()")
                let others = Set(1...40).subtracting(wanted).sorted()
                #expect(try await Self.leased(connection, by: 2, 40) == others)
                try await Invariants.expectNone(connection)
            }
        }
    }

    @Test("who has a task in hand is waited for neither by what moves nor by what becomes due")
    func inHand() async throws {
        try await TaskDatabase.with { database in
            try await database.withConnection { connection in
                try await Self.fill(connection, 10)
                try await connection.script(
                    """
                    SELECT sandboxd.enqueue('code', '{"argv":["true"]}',
                        p_run_at => now() + interval '1 hour') FROM generate_series(1, 2);
                    SELECT sandboxd.set_canary('code', '{"percent": 0}');
                    UPDATE sandboxd.task_delayed SET run_at = now() - interval '1 second';
                    SET statement_timeout = '5s';
                    """,
                    deadline: .seconds(20)
                )
                let promote = "SELECT sandboxd.promote() AS value"
                let rows = "FROM sandboxd.tasks WHERE task_id IN (3, 11) FOR UPDATE"
                try await database.holding(rows) {
                    let moved = try await connection.value(
                        "SELECT moved AS value FROM sandboxd.rebucket()"
                    )
                    #expect(moved == "9")
                    #expect(try await connection.value(promote) == "1")
                }
                #expect(try await connection.value(promote) == "1")
                #expect(try await connection.value(Self.perPool) == "host 11, sandbox 1")
                try await Self.expectFoundLater(connection)
            }
        }
    }

    @Test("while somebody sets a percentage nothing moves, and nobody waits for him")
    func busy() async throws {
        try await TaskDatabase.with { database in
            try await database.withConnection { connection in
                try await Self.fill(connection, 10)
                try await connection.script(
                    """
                    SELECT sandboxd.set_canary('code', '{"percent": 0}');
                    SET statement_timeout = '10s';
                    """,
                    deadline: .seconds(20)
                )
                let step = "SELECT moved, is_left, is_busy FROM sandboxd.rebucket()"
                try await database.holding("sandboxd.hold_canaries()") {
                    let waiting = try await connection.rows(step).only()
                    #expect(try waiting.bool("is_busy") && waiting.bool("is_left"))
                    #expect(try waiting.int("moved") == 0)
                }
                let moving = try await connection.rows(step).only()
                #expect(try !moving.bool("is_busy"))
                #expect(try moving.int("moved") == 10)
                try await Invariants.expectNone(connection)
            }
        }
    }

    /// What was in hand, or came late, is found when it is looked again.
    private static func expectFoundLater(_ connection: Connection) async throws {
        try await connection.script(
            """
            UPDATE sandboxd.canaries SET rebucketed_at = now() - interval '31 seconds';
            SELECT * FROM sandboxd.check_canaries();
            SELECT * FROM sandboxd.rebucket();
            """,
            deadline: .seconds(20)
        )
        #expect(try await connection.value(perPool) == "host 12")
        let total = try await connection.value(
            "SELECT sum(moved) AS value FROM sandboxd.canary_moves"
        )
        #expect(total == "10")
        try await Invariants.expectNone(connection)
    }

    @Test("several that move at once, and several that lease, move each task once")
    func manyHands() async throws {
        try await TaskDatabase.with { database in
            try await database.withConnection { connection in
                try await Self.fill(connection, 5000)
                _ = try await connection.rows(
                    "SELECT sandboxd.set_canary('code', '{\"percent\": 40}')"
                )
                let moved = try await withThrowingTaskGroup(of: Int.self) { group in
                    for _ in 0..<4 {
                        group.addTask {
                            try await database.withConnection { try await Self.move($0) }
                        }
                    }
                    for worker in 1...2 {
                        group.addTask {
                            try await database.withConnection { connection in
                                for _ in 0..<20 {
                                    _ = try await Self.leased(connection, by: worker, 10)
                                }
                            }
                            return 0
                        }
                    }
                    return try await group.reduce(0, +)
                }
                let counted = try await connection.value(
                    "SELECT sum(moved) AS value FROM sandboxd.canary_moves"
                )
                #expect(counted == "\(moved)")
                let wrong = try await connection.value(
                    """
                    SELECT count(*) AS value FROM sandboxd.task_leases l
                    JOIN sandboxd.astray a USING (task_id)
                    """
                )
                #expect(wrong == "0")
                let left = try await connection.value(
                    "SELECT count(*) AS value FROM sandboxd.astray"
                )
                #expect(left == "0")
                try await Invariants.expectNone(connection)
            }
        }
    }

    private static func move(_ connection: Connection) async throws -> Int {
        var moved = 0
        while true {
            let step = try await connection.rows(
                "SELECT moved, is_left FROM sandboxd.rebucket(100)"
            ).only()
            moved += try step.int("moved")
            if try !step.bool("is_left") { return moved }
        }
    }
}
