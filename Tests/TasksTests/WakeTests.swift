// SPDX-License-Identifier: Apache-2.0
import Kernel
import Postgres
import Tasks
import Testing

@Suite("Who is told that there is something to do", .database, .timeLimit(.minutes(10)))
struct WakeTests {
    /// The channel of the next notification, a mark behind everything that was sent before.
    private static func next(_ node: TestNode, _ database: TaskDatabase) async throws -> String? {
        try await database.run("SELECT pg_notify('sandboxd_cancel', '0')")
        var notifications = node.notifications.makeAsyncIterator()
        return await notifications.next()?.channel
    }

    /// Runs `body` with a node that has leased three tasks, and one that waits.
    private static func withTwo(
        _ body: (TaskDatabase, _ busy: TestNode, [LeaseKey], _ idle: TestNode) async throws -> Void
    ) async throws {
        try await TaskDatabase.with { database in
            try await TestNode.with(database.string, name: "busy") { busy in
                try await TestNode.with(database.string, name: "idle") { idle in
                    let task = #"{"profile":"code","spec":{"argv":["true"]}}"#
                    _ = try await busy.queue.enqueue("[\(task),\(task),\(task)]")
                    let keys = try await busy.lease(3)
                    try await idle.worker.setWaiting(true)
                    try await body(database, busy, keys, idle)
                }
            }
        }
    }

    @Test("a task that is given back wakes a node that waits, and one that has ended does not")
    func givenBack() async throws {
        try await Self.withTwo { database, busy, keys, idle in
            _ = await busy.settle([keys[0]])
            #expect(try await Self.next(idle, database) == "sandboxd_cancel")
            _ = await busy.settle(Array(keys[1...]), verdict: "snoozed")
            #expect(try await Self.next(idle, database) == "sandboxd_ready")
            let taken = try await idle.lease(3)
            #expect(Set(taken.map(\.task)) == Set(keys[1...].map(\.task)))
            _ = await idle.settle(taken)
        }
    }

    @Test("the end of a lost node's leases wakes those that wait for what it had reserved")
    func swept() async throws {
        try await Self.withTwo { database, busy, keys, idle in
            let lost = try await busy.number
            try await database.run(
                "UPDATE sandboxd.workers SET retired = true WHERE worker_id = \(lost)"
            )
            let swept = try await idle.queue.sweep(silent: [])
            #expect(Set(swept) == Set(keys))
            #expect(try await Self.next(idle, database) == "sandboxd_ready")
        }
    }
}
