// SPDX-License-Identifier: Apache-2.0
import Kernel
import Postgres
import Tasks
import Testing

@Suite("Completions that the database will not take", .database, .timeLimit(.minutes(10)))
struct CompleterTests {
    /// What a node was told of completions that it could not settle.
    private actor Complaints {
        private(set) var all: [LeaseKey: TaskError] = [:]
        func note(_ key: LeaseKey, _ error: TaskError) { all[key] = error }
    }

    private static func completion(
        _ key: LeaseKey,
        verdict: String = "ok",
        report: String? = nil
    ) -> Completion {
        Completion(key: key, verdict: verdict, charge: Charge(), report: report)
    }

    @Test("a report that cannot be kept is left out, which the attempt's own report says")
    func badReport() async throws {
        try await TaskDatabase.with { database in
            try await TestNode.with(database.string) { node in
                let task = #"{"profile":"code","spec":{"argv":["true"]}}"#
                _ = try await node.queue.enqueue("[\(task),\(task),\(task)]")
                let keys = try await node.lease(3)
                let settled = await node.settle([
                    Self.completion(keys[0], report: #"{"fine":true}"#),
                    Self.completion(keys[1], report: "{no JSON"),
                    Self.completion(keys[2]),
                ])
                #expect(settled.values.allSatisfy { $0 == .settled(.succeeded) })
                #expect(settled.count == 3)
                let good = try await node.queue.ending(of: keys[0].task)?.report
                #expect(good == #"{"fine":true}"#)
                let bad = try #require(try await node.queue.ending(of: keys[1].task)?.report)
                #expect(bad.contains("the report could not be kept"))
                #expect(bad.contains("json"))
            }
        }
    }

    @Test("one that is refused as it is keeps no other, and is told with the reason")
    func refused() async throws {
        let complaints = Complaints()
        let (told, teller) = AsyncStream.makeStream(of: Void.self)
        try await TaskDatabase.with { database in
            try await TestNode.with(
                database.string,
                unsettled: { key, error in
                    Task {
                        await complaints.note(key, error)
                        teller.yield()
                    }
                }
            ) { node in
                let task = #"{"profile":"code","spec":{"argv":["true"]}}"#
                _ = try await node.queue.enqueue("[\(task),\(task)]")
                let keys = try await node.lease(2)
                let settled = await node.settle([
                    Self.completion(keys[0], verdict: "o\0k", report: "{}"),
                    Self.completion(keys[1], report: "{}"),
                ])
                #expect(settled[keys[1]] == .settled(.succeeded))
                guard case .unsettled(let error) = settled[keys[0]] else {
                    Issue.record("\(String(describing: settled[keys[0]]))")
                    return
                }
                #expect("\(error)".contains("NUL"))
                for await _ in told { break }
                #expect(await complaints.all == [keys[0]: error])
                // It is the sweep's now.
                let left = try await node.queue.leases(of: try await node.number)
                #expect(left == [keys[0]])
                // Which knows that it ran: nobody may take it for one that never did.
                for _ in 0..<2 { _ = try await node.worker.settleUnheard() }
                let told = try await node.queue.task(keys[0].task) ?? ""
                #expect(told.contains("heartbeat") && !told.contains("unheard"), "\(told)")
            }
        }
    }

    @Test("what is given up for a database that does not answer is told as that, not as fenced off")
    func abandoned() async throws {
        try await TaskDatabase.with { database in
            try await TestNode.with(database.string, unsettled: { _, _ in }) { node in
                let task = #"[{"profile":"code","spec":{"argv":["true"]}}]"#
                _ = try await node.queue.enqueue(task)
                let keys = try await node.lease(1)
                await node.queue.work.close()
                await node.worker.abandon()
                let settled = await node.settle(keys)
                guard case .unsettled(let error) = settled[keys[0]] else {
                    Issue.record("\(String(describing: settled[keys[0]]))")
                    return
                }
                #expect("\(error)".contains("it was closed"))
            }
        }
    }
}
