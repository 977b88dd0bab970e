// SPDX-License-Identifier: Apache-2.0
import Kernel
import Postgres
import Tasks
import Testing

/// The disk of the database runs full: what is new is refused, what runs is kept, and what has
/// ended is settled as soon as there is room.
@Suite(
    "A database without room",
    .privateServer,
    .smallVolume,
    .serialized,
    .timeLimit(.minutes(10))
)
struct FullDiskTests {
    /// Longer than what a page may have left.
    private static let report = #"{"note":"\#(String(repeating: "x", count: 60_000))"}"#

    /// A batch of tasks that no compression makes small.
    private static func batch(_ count: Int) -> String {
        let tasks = (0..<count).map { _ in
            let noise = (0..<120).map { _ in String(UInt64.random(in: 0 ... .max), radix: 36) }
            return #"{"profile":"code","spec":{"argv":["echo","\#(noise.joined())"]}}"#
        }
        return "[" + tasks.joined(separator: ",") + "]"
    }

    /// Why an enqueue is refused; nil when it is not.
    private static func refusal(_ node: TestNode, _ tasks: String) async -> TaskError? {
        do throws(TaskError) {
            _ = try await node.queue.enqueue(tasks)
            return nil
        } catch {
            return error
        }
    }

    private static func beats(_ node: TestNode) async throws -> Int? {
        try await node.queue.pulses()[try await node.number]?.beats
    }

    @Test("without room for tables, enqueueing says so, work goes on, and completions land later")
    func tables() async throws {
        var options = PrivateServer.Options()
        options.smallVolume = (.tables, 48)
        // Autovacuum would find room in between.
        options.settings = ["autovacuum=off"]
        try await PrivateServer.with(options) { server in
            try await server.database.migrate()
            try await TestNode.with(server.string, timeToLive: .seconds(8)) { node in
                _ = try await node.queue.enqueue(Self.batch(30))
                let held = try await node.lease(20)
                try await server.fillVolume()
                // What is left of pages that are there takes a few.
                var refusal: TaskError?
                for _ in 1...100 where refusal == nil {
                    refusal = await Self.refusal(node, Self.batch(5))
                }
                #expect("\(try #require(refusal))".contains("its disk is full"))

                async let settled = node.settle(held, report: Self.report)
                // A while of failing to settle, in which the node lives on.
                let before = try #require(try await Self.beats(node))
                while try await Self.beats(node) ?? 0 < before + 1 {
                    try await Task.sleep(for: .milliseconds(50))
                }
                let leases = try await node.queue.leases(of: try await node.number)
                #expect(leases == Set(held))

                await server.clearVolume()
                #expect(await settled.values.allSatisfy { $0 == .settled(.succeeded) })
                #expect(await Self.refusal(node, Self.batch(5)) == nil)
            }
            try await server.database.withConnection { try await Invariants.expectNone($0) }
        }
    }

    /// PostgreSQL gives up when its log has no room, and does not start again before it has.
    @Test("without room for its log the server dies, and what had ended is settled when it is back")
    func log() async throws {
        var options = PrivateServer.Options()
        options.smallVolume = (.log, 24)
        options.settings = ["max_wal_size=8MB", "min_wal_size=2MB"]
        try await PrivateServer.with(options) { server in
            try await server.database.migrate()
            try await TestNode.with(server.string, timeToLive: .seconds(60)) { node in
                _ = try await node.queue.enqueue(Self.batch(30))
                let held = try await node.lease(20)
                try await server.fillVolume()
                // The segments that are there already take some of them.
                var refusal: TaskError?
                for _ in 1...200 where refusal == nil {
                    refusal = await Self.refusal(node, Self.batch(50))
                }
                _ = try #require(refusal)
                try await server.ended()
                #expect(
                    "\(try #require(await Self.refusal(node, Self.batch(1))))"
                        .contains("the database cannot be used now")
                )
                async let settled = node.settle(held, report: Self.report)
                await server.clearVolume()
                try await server.start()
                #expect(await settled.values.allSatisfy { $0 == .settled(.succeeded) })
            }
            try await server.database.withConnection { try await Invariants.expectNone($0) }
        }
    }
}
