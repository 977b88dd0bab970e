// SPDX-License-Identifier: Apache-2.0
import Kernel
import Tasks
import Testing

@Suite("Large tasks on a busy node") struct MemorySavingTests {
    private static let start = Instant.now

    private static func head(_ task: Int, _ memoryMiB: Int) -> MemorySaving.Head {
        MemorySaving.Head(task: task, lane: task * 10, memoryMiB: memoryMiB)
    }

    /// What is seen at some second on a node of 1000 MiB, and what is to be done then.
    struct Row: Sendable, CustomStringConvertible {
        struct Look: Sendable {
            let second: Int
            let heads: [MemorySaving.Head]
            let free: Int
            let plan: MemorySaving.Plan
        }

        let description: String
        let looks: [Look]

        init(
            _ description: String,
            _ looks: (Int, [MemorySaving.Head], free: Int, MemorySaving.Plan)...
        ) {
            self.description = description
            self.looks = looks.map { Look(second: $0.0, heads: $0.1, free: $0.2, plan: $0.3) }
        }
    }

    static let rows: [Row] = {
        let small = head(1, 100)
        let large = head(2, 600)
        let larger = head(3, 900)
        let vast = head(4, 1001)
        return [
            Row(
                "what fits is never saved for",
                (0, [small], free: 200, .anything),
                (100, [small], free: 200, .anything)
            ),
            Row(
                "a large one is passed for a while, then saved for, then comes first",
                (0, [small, large], free: 200, .anything),
                (9, [small, large], free: 300, .anything),
                (10, [small, large], free: 300, .nothing(savingFor: large)),
                (15, [small, large], free: 599, .nothing(savingFor: large)),
                (20, [small, large], free: 600, .first(large)),
                (21, [small, large], free: 1000, .first(large))
            ),
            Row(
                "one that somebody else has taken is saved for no more",
                (0, [large], free: 200, .anything),
                (10, [large], free: 200, .nothing(savingFor: large)),
                (11, [small], free: 200, .anything)
            ),
            Row(
                "one that fits for a moment and is passed again has waited all the while",
                (0, [large], free: 200, .anything),
                (5, [large], free: 700, .anything),
                (10, [large], free: 100, .nothing(savingFor: large))
            ),
            Row(
                "of two, the one that has waited longer is saved for, and then the other",
                (0, [larger], free: 200, .anything),
                (1, [large, larger], free: 200, .anything),
                (11, [large, larger], free: 700, .nothing(savingFor: larger)),
                (12, [large, larger], free: 900, .first(larger)),
                (13, [large], free: 100, .nothing(savingFor: large))
            ),
            Row(
                "one that is larger than the node keeps nobody waiting",
                (0, [vast], free: 200, .anything),
                (100, [vast], free: 1000, .anything)
            ),
        ]
    }()

    @Test("each look answers what to lease", arguments: rows)
    func looks(row: Row) {
        var saving = MemorySaving(patience: .seconds(10))
        for look in row.looks {
            saving.look(
                look.heads,
                freeMiB: look.free,
                capacityMiB: 1000,
                at: Self.start.advanced(by: .seconds(look.second))
            )
            #expect(saving.plan(freeMiB: look.free) == look.plan, "second \(look.second)")
        }
    }

    @Test("once it is leased, nothing is saved any more")
    func took() {
        var saving = MemorySaving(patience: .seconds(0))
        let large = Self.head(2, 600)
        saving.look([large], freeMiB: 100, capacityMiB: 1000, at: Self.start)
        #expect(saving.plan(freeMiB: 600) == .first(large))
        saving.took(1)
        #expect(saving.isWatching)
        saving.took(2)
        #expect(saving.plan(freeMiB: 0) == .anything)
        #expect(!saving.isWatching)
    }

    @Test("what is too large for a node stays in front, and nobody behind it waits", .database)
    func passed() async throws {
        try await TaskDatabase.with { database in
            try await database.run(
                """
                SELECT sandboxd.enqueue('big', '{"argv":["true"]}', p_priority => 1);
                SELECT sandboxd.enqueue('code', '{"argv":["true"]}') FROM generate_series(1, 5);
                """
            )
            try await database.withQueue { queue in
                let worker = try await queue.register(
                    node: "a",
                    timeToLive: .seconds(60),
                    bootID: "",
                    version: ""
                )
                let lease = { (most: Int, memoryMiB: Int) async throws(TaskError) -> [Int] in
                    try await queue.lease(
                        worker: worker,
                        most: most,
                        memoryMiB: memoryMiB,
                        afterLane: 0
                    ).map(\.key.task)
                }
                #expect(try await lease(3, 2047) == [2, 3])
                // Where it fits it comes first, and nothing fits beside it.
                #expect(try await lease(3, 2048) == [1])
                #expect(try await lease(9, 2047) == [4, 5, 6])
            }
        }
    }

    @Test("the database tells the first of each lane, if its budget can pay", .database)
    func heads() async throws {
        try await TaskDatabase.with { database in
            try await database.run(
                """
                SELECT sandboxd.set_budget('paused', '{"paused": true}');
                SELECT sandboxd.set_budget('poor', '{"runs_cap": 1}');
                SELECT sandboxd.set_budget('rich', '{"runs_cap": 1}');
                SELECT sandboxd.enqueue('code', '{"argv":["true"]}', b)
                FROM unnest(ARRAY['default', 'poor', 'paused', 'rich']) AS b;
                SELECT sandboxd.enqueue('big', '{"argv":["true"]}', b, p_priority => 1)
                FROM unnest(ARRAY['default', 'poor', 'paused', 'rich']) AS b;
                SELECT sandboxd.enqueue('big', '{"argv":["true"]}', p_pool => 'host');
                UPDATE sandboxd.budgets SET runs_used = 1 WHERE budget = 'poor';
                """
            )
            try await database.withQueue { queue in
                let heads = try await queue.heads().sorted { $0.task < $1.task }
                #expect(heads.map(\.task) == [5, 8])
                #expect(heads.map(\.memoryMiB) == [2048, 2048])
                // Each in its own lane, from which it is leased first.
                let worker = try await queue.register(
                    node: "a",
                    timeToLive: .seconds(60),
                    bootID: "",
                    version: ""
                )
                for head in heads.reversed() {
                    let leases = try await queue.lease(
                        worker: worker,
                        most: 1,
                        memoryMiB: head.memoryMiB,
                        afterLane: head.lane - 1
                    )
                    #expect(leases.map(\.key.task) == [head.task])
                }
            }
        }
    }
}
