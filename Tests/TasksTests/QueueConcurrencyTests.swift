// SPDX-License-Identifier: Apache-2.0
import Kernel
import Postgres
import Tasks
import Testing

/// Many connections that really work at the same time: no refusal but those that are meant, and
/// sums that are right in the end.
@Suite("The queue under many hands", .database, .serialized, .timeLimit(.minutes(10)))
struct QueueConcurrencyTests {
    private static let budgets = ["a", "b", "c", "d"]

    /// What the hands share.
    private actor Ledger {
        private(set) var held: Set<LeaseKey> = []
        private var ever: Set<LeaseKey> = []
        private(set) var mistakes: [String] = []
        private(set) var isOver = false

        /// A worker was given this.
        func took(_ key: LeaseKey) {
            if !ever.insert(key).inserted { mistakes.append("\(key) was leased twice") }
            if held.contains(where: { $0.task == key.task }) {
                mistakes.append("task \(key.task) was leased while it was held")
            }
            held.insert(key)
        }

        /// It is going to be settled, or taken away.
        func lets(_ key: LeaseKey) { held.remove(key) }

        func mistake(_ what: String) { mistakes.append(what) }

        func end() { isOver = true }
    }

    private static func settings(_ random: inout SplitMix) -> String {
        let runs = Int.random(in: 200...100_000, using: &random)
        let isPaused = random.oneIn(10)
        return #"{"runs_cap":\#(runs),"wall_ms_cap":\#(runs * 2000),"paused":\#(isPaused)}"#
    }

    /// A node: it leases, beats, and settles some of what it has in whatever order.
    private static func work(
        _ connection: Connection,
        _ ledger: Ledger,
        worker: Int,
        seed: UInt64
    ) async throws {
        var random = SplitMix(seed: seed)
        var own: [LeaseKey] = []
        var idle = 0
        while idle < 20 {
            let rows = try await connection.rows(
                "SELECT task_id, fence FROM sandboxd.lease($1::int, $2::int, $3::bigint, $4::int)",
                "\(worker)",
                "\(Int.random(in: 1...20, using: &random))",
                "1000000",
                "\(Int.random(in: 0...12, using: &random))"
            )
            for row in rows {
                let key = LeaseKey(task: try row.int("task_id"), fence: try row.int("fence"))
                await ledger.took(key)
                own.append(key)
            }
            own.shuffle(using: &random)
            try await beat(connection, worker, own)
            idle = rows.isEmpty && own.isEmpty ? idle + 1 : 0
            let done = Array(own.prefix(Int.random(in: 0...25, using: &random)))
            own.removeFirst(done.count)
            for key in done { await ledger.lets(key) }
            let verdicts = done.map { _ in
                ["ok", "ok", "ok", "exit", "snoozed"].randomElement(using: &random)
            }
            let settled = try await complete(connection, done, verdicts)
            if settled != done.count {
                await ledger.mistake("\(done.count) completions, and \(settled) counted")
            }
        }
    }

    private static func beat(
        _ connection: Connection,
        _ worker: Int,
        _ keys: [LeaseKey]
    ) async throws {
        let zeros = ArrayLiteral.integers(keys.map { _ in 1 })
        _ = try await connection.rows(
            """
            SELECT * FROM sandboxd.heartbeat($1::int, 600, $2::bigint[], $3::int[], $4::bigint[],
                $4::bigint[], $4::bigint[], $4::bigint[])
            """,
            "\(worker)",
            ArrayLiteral.integers(keys.map(\.task)),
            ArrayLiteral.integers(keys.map(\.fence)),
            zeros
        )
    }

    private static func complete(
        _ connection: Connection,
        _ keys: [LeaseKey],
        _ verdicts: [String?]
    ) async throws -> Int {
        let figures = ArrayLiteral.integers(keys.map { _ in 100 })
        return try await connection.rows(
            """
            SELECT * FROM sandboxd.complete($1::bigint[], $2::int[], $3::text[], '{}',
                $4::bigint[], $4::bigint[], $4::bigint[], $4::bigint[])
            """,
            ArrayLiteral.integers(keys.map(\.task)),
            ArrayLiteral.integers(keys.map(\.fence)),
            ArrayLiteral.text(verdicts),
            figures
        ).count
    }

    /// A person: enqueues, sets budgets, cancels, and beats in somebody else's name.
    private static func disturb(
        _ connection: Connection,
        _ ledger: Ledger,
        seed: UInt64
    ) async throws {
        var random = SplitMix(seed: seed)
        while await !ledger.isOver {
            let budget = budgets.randomElement(using: &random)
            switch Int.random(in: 0..<6, using: &random) {
            case 0:
                let error = await failure { () throws(PostgresError) in
                    try await connection.rows(
                        "SELECT sandboxd.set_budget($1, $2::jsonb)",
                        budget,
                        settings(&random)
                    )
                }
                // A cap below what is used already is refused, and that is meant.
                if let error, error.sqlState != "SB002" { throw error }
            case 1, 2:
                let task = Int.random(in: 1...2000, using: &random)
                _ = try await connection.rows("SELECT sandboxd.cancel($1::bigint)", "\(task)")
            case 3:
                let keys = await ledger.held.map { $0 }.shuffled(using: &random).prefix(30)
                try await beat(connection, Int.random(in: 1...3, using: &random), Array(keys))
            case 4: _ = try await connection.rows("SELECT * FROM sandboxd.sweep()")
            default:
                _ = try await connection.rows(
                    "SELECT sandboxd.promote(), sandboxd.roll_budgets()"
                )
                _ = try await connection.rows(
                    """
                    UPDATE sandboxd.budgets SET period_began = period_began - interval '1 day'
                    WHERE budget = 'd'
                    """
                )
            }
        }
    }

    private static func prepare(_ database: TaskDatabase) async throws {
        for budget in budgets {
            try await database.run("SELECT sandboxd.set_budget('\(budget)', '{}')")
        }
        try await database.run(
            """
            SELECT sandboxd.set_budget('d', '{"period": "day"}');
            SELECT sandboxd.register_worker('node ' || n, 600) FROM generate_series(1, 3) AS n;
            SELECT count(*) FROM sandboxd.enqueue_many((SELECT jsonb_agg(jsonb_build_object(
                'profile', 'code', 'spec', '{"argv":["true"]}'::jsonb,
                'budget', (ARRAY['a', 'b', 'c', 'd'])[1 + n % 4], 'priority', n % 3))
                FROM generate_series(1, 2000) AS n));
            """
        )
    }

    @Test("three nodes and two people at once never wait in a circle, and all sums are right")
    func everythingAtOnce() async throws {
        let seed = SplitMix.seed()
        print("QueueConcurrencyTests: SANDBOXD_TEST_SEED=\(seed)")
        try await TaskDatabase.with { database in
            try await Self.prepare(database)
            let ledger = Ledger()
            try await withThrowingTaskGroup(of: Void.self) { people in
                for hand in 0..<2 {
                    people.addTask {
                        try await database.withConnection {
                            try await Self.disturb($0, ledger, seed: seed + 100 + UInt64(hand))
                        }
                    }
                }
                people.addTask {
                    do {
                        try await Self.workAll(database, ledger, seed)
                    } catch {
                        await ledger.end()
                        throw error
                    }
                    await ledger.end()
                }
                try await people.waitForAll()
            }
            #expect(await ledger.mistakes == [])
            // What was held back by paused or exhausted budgets.
            for budget in Self.budgets {
                try await database.run(
                    """
                    SELECT sandboxd.set_budget('\(budget)',
                        '{"paused": false, "runs_cap": null, "wall_ms_cap": null}')
                    """
                )
            }
            try await Self.workAll(database, ledger, seed + 1)
            #expect(await ledger.mistakes == [])
            try await database.withConnection { connection in
                try await Invariants.expectNone(connection)
                let open = try await connection.value(
                    "SELECT count(*) AS value FROM sandboxd.tasks WHERE state = 0"
                )
                #expect(open == "0")
            }
        }
    }

    private static func workAll(
        _ database: TaskDatabase,
        _ ledger: Ledger,
        _ seed: UInt64
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { nodes in
            for worker in 1...3 {
                nodes.addTask {
                    try await database.withConnection {
                        try await work($0, ledger, worker: worker, seed: seed + UInt64(worker))
                    }
                }
            }
            try await nodes.waitForAll()
        }
    }

    /// Runs the bodies at once, each with a connection of its own.
    private static func atOnce(
        _ database: TaskDatabase,
        _ bodies: [@Sendable (Connection) async throws -> Void]
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for body in bodies {
                group.addTask { try await database.withConnection { try await body($0) } }
            }
            try await group.waitForAll()
        }
    }

    @Test("two batches with the same keys in opposite orders make each task once")
    func sameKeys() async throws {
        try await TaskDatabase.with { database in
            let enqueue = """
                SELECT count(*) FILTER (WHERE created) AS value FROM sandboxd.enqueue_many(
                    (SELECT jsonb_agg(jsonb_build_object('profile', 'code', 'key', 'key ' || n,
                        'spec', '{"argv":["true"]}'::jsonb) ORDER BY n * $1::int)
                    FROM generate_series(1, 500) AS n))
                """
            let made = Counter()
            try await Self.atOnce(
                database,
                ["1", "-1", "1", "-1"].map { direction in
                    { connection in
                        let count = try await connection.value(enqueue, direction)
                        await made.add(Int(count ?? "") ?? 0)
                    }
                }
            )
            #expect(await made.value == 500)
            try await database.withConnection { connection in
                try await Invariants.expectNone(connection)
            }
        }
    }

    private actor Counter {
        private(set) var value = 0
        func add(_ count: Int) { value += count }
    }

    /// Each task is cancelled while it is being leased and settled. Whatever comes first, nobody is
    /// refused, a cancelled one that runs is told so by its heartbeat, and nothing stays open.
    @Test("a cancellation beside a lease and a completion loses nothing")
    func cancelRaces() async throws {
        try await TaskDatabase.with { database in
            try await database.run(
                """
                SELECT sandboxd.register_worker('a', 600);
                SELECT sandboxd.register_worker('b', 600);
                SELECT sandboxd.enqueue('code', '{"argv":["true"]}')
                FROM generate_series(1, 600);
                """
            )
            let untold = Counter()
            let node: @Sendable (Connection, Int) async throws -> Void = { connection, worker in
                while true {
                    let rows = try await connection.rows(
                        "SELECT task_id, fence FROM sandboxd.lease($1::int, 4)",
                        "\(worker)"
                    )
                    if rows.isEmpty { break }
                    var keys: [LeaseKey] = []
                    for row in rows {
                        keys.append(
                            LeaseKey(task: try row.int("task_id"), fence: try row.int("fence"))
                        )
                    }
                    // Of one moment: whom the heartbeat forgets.
                    let forgotten = try await connection.value(
                        """
                        SELECT count(*) AS value FROM sandboxd.tasks t
                        WHERE t.task_id = ANY ($2::bigint[]) AND t.cancel_requested
                            AND t.task_id NOT IN (SELECT h.task_id FROM sandboxd.heartbeat($1::int,
                                600, $2::bigint[], $3::int[], $4::bigint[], $4::bigint[],
                                $4::bigint[], $4::bigint[]) AS h)
                        """,
                        "\(worker)",
                        ArrayLiteral.integers(keys.map(\.task)),
                        ArrayLiteral.integers(keys.map(\.fence)),
                        ArrayLiteral.integers(keys.map { _ in 1 })
                    )
                    await untold.add(Int(forgotten ?? "") ?? 1)
                    _ = try await Self.complete(connection, keys, keys.map { _ in "exit" })
                }
            }
            let person: @Sendable (Connection, Bool) async throws -> Void = { connection, isUp in
                for step in 1...600 {
                    let task = isUp ? step : 601 - step
                    _ = try await connection.rows("SELECT sandboxd.cancel($1::bigint)", "\(task)")
                }
            }
            try await Self.atOnce(
                database,
                [
                    { try await node($0, 1) }, { try await node($0, 2) },
                    { try await person($0, true) }, { try await person($0, false) },
                ]
            )
            #expect(await untold.value == 0)
            try await database.withConnection { connection in
                try await Invariants.expectNone(connection)
                // One that was cancelled after its end stays as it is; no other may be open.
                let open = try await connection.value(
                    "SELECT count(*) AS value FROM sandboxd.tasks WHERE state = 0"
                )
                #expect(open == "0")
                let wrong = try await connection.value(
                    """
                    SELECT count(*) AS value FROM sandboxd.tasks
                    WHERE cancel_requested <> (state = 3)
                    """
                )
                #expect(wrong == "0")
            }
        }
    }

    @Test("several who sweep at once take each lease away once")
    func sweeps() async throws {
        try await TaskDatabase.with { database in
            try await database.run(
                """
                SELECT sandboxd.register_worker('a', 600);
                SELECT sandboxd.enqueue('code', '{"argv":["true"]}')
                FROM generate_series(1, 500);
                SELECT count(*) FROM sandboxd.lease(1, 500);
                UPDATE sandboxd.workers SET lease_until = now() - interval '1 second';
                """
            )
            let swept = Counter()
            try await Self.atOnce(
                database,
                Array(repeating: (), count: 4).map {
                    { connection in
                        for _ in 0..<20 {
                            let count = try await connection.rows(
                                "SELECT * FROM sandboxd.sweep(50)"
                            ).count
                            await swept.add(count)
                        }
                    }
                }
            )
            #expect(await swept.value == 500)
            try await database.withConnection { connection in
                try await Invariants.expectNone(connection)
            }
        }
    }

    /// Lanes are rows too: batches that are the first to use budgets must not wait for each other.
    @Test("first batches for the same budgets in opposite orders do not wait in a circle")
    func firstBatches() async throws {
        try await TaskDatabase.with { database in
            for round in 0..<10 {
                let names = (0..<8).map { "r\(round)-\($0)" }
                for name in names {
                    try await database.run("SELECT sandboxd.set_budget('\(name)', '{}')")
                }
                let enqueue = """
                    SELECT count(*) AS value FROM sandboxd.enqueue_many((SELECT jsonb_agg(
                        jsonb_build_object('profile', 'code', 'spec', '{"argv":["true"]}'::jsonb,
                        'budget', b.name) ORDER BY b.place * $2::int)
                    FROM unnest($1::text[]) WITH ORDINALITY AS b (name, place)))
                    """
                try await Self.atOnce(
                    database,
                    ["1", "-1", "1", "-1"].map { direction in
                        { connection in
                            let text = ArrayLiteral.text(names)
                            let count = try await connection.value(enqueue, text, direction)
                            #expect(count == "8")
                        }
                    }
                )
            }
        }
    }
}
