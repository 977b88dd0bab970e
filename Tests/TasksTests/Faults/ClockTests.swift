// SPDX-License-Identifier: Apache-2.0
import Glibc
import Kernel
import Postgres
import Tasks
import Testing

/// The database's clock is set, and only its: libfaketime shows its server another time, which is
/// read anew from a file with every look at the clock.
@Suite(
    "A database whose clock is set",
    .privateServer,
    .fakeTime,
    .serialized,
    .timeLimit(.minutes(10))
)
struct ClockTests {
    private static let oldest = Statement(
        "test_now",
        "SELECT extract(epoch FROM clock_timestamp())::bigint AS now"
    )

    private static func now(_ node: TestNode) async throws -> Int {
        try await node.queue.watch.query(oldest, deadline: .seconds(10)).only().int("now")
    }

    private static func with(
        _ body: (PrivateServer, TestNode) async throws -> Void
    ) async throws {
        var options = PrivateServer.Options()
        options.hasClock = true
        try await PrivateServer.with(options) { server in
            try await server.database.migrate()
            try await server.database.run(
                """
                SELECT count(*) FROM sandboxd.enqueue_many((SELECT jsonb_agg(
                    '{"profile":"code","spec":{"argv":["true"]}}'::jsonb)
                    FROM generate_series(1, 6)))
                """
            )
            try await TestNode.with(server.string, timeToLive: .seconds(3)) { node in
                try await body(server, node)
            }
            try await server.database.withConnection { try await Invariants.expectNone($0) }
        }
    }

    /// What a worker does that is not there any more: it came, and took three tasks.
    private static func leaseByTheDead(_ database: TaskDatabase) async throws -> [LeaseKey] {
        try await database.withConnection { connection in
            let worker = try await connection.value(
                "SELECT sandboxd.register_worker('dead', 3) AS value"
            )
            let rows = try await connection.rows(
                "SELECT task_id, fence FROM sandboxd.lease($1::int, 3)",
                worker
            )
            return try rows.map {
                LeaseKey(task: try $0.int("task_id"), fence: try $0.int("fence"))
            }
        }
    }

    /// How many completions of an attempt that is long over count.
    private static func complete(_ keys: [LeaseKey], _ database: TaskDatabase) async throws -> Int {
        try await database.withConnection { connection in
            let tasks = ArrayLiteral.integers(keys.map(\.task))
            let fences = ArrayLiteral.integers(keys.map(\.fence))
            return try await connection.rows(
                """
                SELECT * FROM sandboxd.complete($1::bigint[], $2::int[], array_fill('ok'::text,
                    ARRAY[3]), '{}', $2::bigint[], $2::bigint[], $2::bigint[], $2::bigint[])
                """,
                tasks,
                fences
            ).count
        }
    }

    /// Until every task has succeeded; what came back waits for no time to pass.
    private static func finish(_ node: TestNode, _ database: TaskDatabase) async throws {
        try await database.run("UPDATE sandboxd.task_delayed SET run_at = '-infinity'")
        _ = try await node.queue.promote()
        while true {
            let keys = try await node.lease(10)
            if keys.isEmpty { break }
            let settled = await node.settle(keys)
            #expect(settled.values.allSatisfy { $0 == .settled(.succeeded) })
        }
    }

    /// What is swept first.
    private static func swept(_ sweeper: inout Sweeper) async throws -> [LeaseKey] {
        let began = Instant.now
        var swept: [LeaseKey] = []
        while swept.isEmpty, Instant.now.milliseconds(since: began) < 60_000 {
            try await Task.sleep(for: .milliseconds(200))
            swept = try await sweeper.sweep()
        }
        return swept
    }

    private static func verdicts(_ database: TaskDatabase) async throws -> String? {
        try await database.withConnection { connection in
            try await connection.value(
                """
                SELECT string_agg(v, ' ' ORDER BY v) AS value
                FROM (SELECT verdict || ' ' || count(*) || ' of ' || count(DISTINCT task_id)
                    FROM sandboxd.task_attempts GROUP BY verdict) AS c (v)
                """
            )
        }
    }

    @Test("set back an hour, the leases of the dead end in time, those of the living stay")
    func setBack() async throws {
        try await Self.with { server, node in
            let living = try await node.lease(3)
            #expect(living.count == 3)
            let dead = try await Self.leaseByTheDead(server.database)
            #expect(dead.count == 3)
            let before = try await Self.now(node)
            try server.setClock("-3600")
            let after = try await Self.now(node)
            #expect(after - before < -3500)

            // By the server's clock, the dead one has an hour to live.
            let number = try await node.number
            var sweeper = Sweeper(node.queue)
            #expect(try await sweeper.sweep() == [])
            let swept = try await Self.swept(&sweeper)
            #expect(Set(swept) == Set(dead))
            #expect(try await Self.complete(dead, server.database) == 0)

            // Who beat all the while is what it was.
            #expect(try await node.number == number)
            let settled = await node.settle(living)
            #expect(settled.values.allSatisfy { $0 == .settled(.succeeded) })
            try await Self.finish(node, server.database)
            let verdicts = try await Self.verdicts(server.database)
            #expect(verdicts == "lease_lost 3 of 3 ok 6 of 6")
        }
    }

    /// As when a wrong clock is set right: by the server's clock, everybody was silent for an hour.
    @Test("set forward an hour, the leases of the dead end in time, those of the living stay")
    func setForward() async throws {
        try await Self.with { server, node in
            let living = try await node.lease(3)
            #expect(living.count == 3)
            let dead = try await Self.leaseByTheDead(server.database)
            #expect(dead.count == 3)
            let number = try await node.number
            try server.setClock("+3600")

            // In one step with the clock: no heartbeat comes in between, and all leases are past.
            let began = Instant.now
            var sweeper = Sweeper(node.queue)
            #expect(try await sweeper.sweep() == [])
            let swept = try await Self.swept(&sweeper)
            #expect(Set(swept) == Set(dead))
            // Of a lease's time, three seconds, nothing was spared.
            #expect(Instant.now.milliseconds(since: began) >= 3000)
            #expect(try await Self.complete(dead, server.database) == 0)

            #expect(try await node.number == number)
            let settled = await node.settle(living)
            #expect(settled.values.allSatisfy { $0 == .settled(.succeeded) })
            try await Self.finish(node, server.database)
            let verdicts = try await Self.verdicts(server.database)
            #expect(verdicts == "lease_lost 3 of 3 ok 6 of 6")
        }
    }
}

extension Trait where Self == ConditionTrait {
    /// Needs a library that shows a program another time.
    static var fakeTime: Self {
        .enabled(if: FakeTime.library != nil, "there is no libfaketime: install 'libfaketime'")
    }
}
