// SPDX-License-Identifier: Apache-2.0
import Postgres
import Testing

@Suite("The queue against a model of it", .database) struct QueueModelTests {
    /// Breaks one promise by hand.
    struct Breach: Sendable, CustomStringConvertible {
        let description: String
        let sql: String
        /// What the checker says of it.
        let report: String
    }

    static let breaches: [Breach] = [
        Breach(
            description: "a task in two places",
            sql: """
                INSERT INTO sandboxd.task_ready (lane, rank, task_id, fence, attempt)
                SELECT lane, rank, task_id, fence, attempt FROM sandboxd.task_leases LIMIT 1
                """,
            report: "places"
        ),
        Breach(
            description: "a task that waits and has ended",
            sql: "UPDATE sandboxd.tasks SET state = 2 WHERE state = 0",
            report: "waits or runs and is failed"
        ),
        Breach(
            description: "a task that is nowhere",
            sql: "DELETE FROM sandboxd.task_ready",
            report: "open and nowhere"
        ),
        Breach(
            description: "a fence that was used",
            sql: "UPDATE sandboxd.tasks SET last_fence = 9 WHERE state = 0",
            report: "does not grow"
        ),
        Breach(
            description: "an attempt too many",
            sql: "UPDATE sandboxd.task_leases SET attempt = 4",
            report: "is past 3"
        ),
        Breach(
            description: "a reservation without a lease",
            sql: "UPDATE sandboxd.budgets SET egress_bytes_reserved = egress_bytes_reserved + 1",
            report: "has reserved"
        ),
        Breach(
            description: "a charge without an attempt",
            sql: "UPDATE sandboxd.budgets SET money_nanos_used = money_nanos_used + 1",
            report: "has used"
        ),
        Breach(
            description: "an attempt twice in the history",
            sql: "INSERT INTO sandboxd.task_attempts SELECT * FROM sandboxd.task_attempts",
            report: "2 times"
        ),
        Breach(
            description: "an attempt that does not count",
            sql: "UPDATE sandboxd.tasks SET attempts = 0",
            report: "says 0 attempts"
        ),
        Breach(
            description: "a task with two keys",
            sql: "INSERT INTO sandboxd.task_keys SELECT 'b', task_id, '' FROM sandboxd.task_keys",
            report: "has 2 keys"
        ),
        Breach(
            description: "a key of nothing",
            sql: "UPDATE sandboxd.task_keys SET task_id = 0",
            report: "belongs to no task"
        ),
        Breach(
            description: "a task in a strange lane",
            sql: "UPDATE sandboxd.task_ready SET lane = 2",
            report: "not its own"
        ),
    ]

    /// Without this, the other test could pass because its checker sees nothing.
    @Test("the checker sees a promise broken by hand", arguments: breaches)
    func checker(breach: Breach) async throws {
        try await TaskDatabase.with { database in
            try await database.run(
                """
                SELECT sandboxd.register_worker('a', 60);
                SELECT sandboxd.enqueue('code', '{"argv":["true"]}', p_key => 'a');
                SELECT sandboxd.enqueue('code', '{"argv":["true"]}') FROM generate_series(1, 3);
                SELECT sandboxd.lease(1, 2);
                SELECT sandboxd.complete('{1}', '{1}', '{ok}', '{0}', '{1}', '{1}', '{1}', '{0}');
                """
            )
            try await database.withConnection { connection in
                let before = try await Invariants.breaches(Invariants.all, connection)
                #expect(before == [])
                try await connection.script(breach.sql, deadline: .seconds(10))
                let after = try await Invariants.breaches(Invariants.all, connection)
                #expect(after.contains { $0.contains(breach.report) }, "\(after)")
            }
        }
    }

    private static let stepCount = 10_000

    /// How often each step is taken.
    private static let steps: [(weight: Int, step: @Sendable (QueueDriver) async throws -> Void)] =
        [
            (14, { try await $0.model.open.count < 250 ? $0.enqueue() : $0.lease() }),
            (26, { try await $0.lease() }),
            (22, { try await $0.complete() }),
            (6, { try await $0.beginRun() }),
            (6, { try await $0.heartbeat() }),
            (5, { try await $0.cancel() }),
            (4, { try await $0.retry() }),
            (8, { try await $0.setBudget() }),
            (4, { try await $0.promote() }),
            (2, { try await $0.sweep() }),
            (2, { try await $0.register() }),
            (1, { try await $0.drain() }),
            (1, { try await $0.passDeadline() }),
            (1, { try await $0.passPeriod() }),
            (1, { try await $0.rollBudgets() }),
        ]

    /// Ten thousand random steps. SANDBOXD_TEST_SEED repeats a run.
    @Test("random steps do what the model says, and break no promise", .timeLimit(.minutes(10)))
    func randomSteps() async throws {
        let seed = SplitMix.seed()
        print("QueueModelTests: SANDBOXD_TEST_SEED=\(seed)")
        let choices = Self.steps.flatMap { Array(repeating: $0.step, count: $0.weight) }
        try await TaskDatabase.with { database in
            try await database.withConnection { connection in
                let driver = try await QueueDriver(connection, seed: seed)
                do {
                    for step in 1...Self.stepCount {
                        try await driver.pick(choices)(driver)
                        try await driver.check(step % 50 == 0 ? .recent : .step)
                        // What the server does by itself once a minute, which is late here.
                        if step % 500 == 0 { try await driver.vacuum() }
                    }
                    try await driver.check(.everything)
                } catch {
                    // Budgets of a day have rolled over by themselves.
                    guard try await driver.isSameDay() else { return }
                    let last = driver.steps.suffix(30).joined(separator: "\n")
                    Issue.record("seed \(seed): \(error)\n\(last)")
                }
            }
        }
    }
}
