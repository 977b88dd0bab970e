// SPDX-License-Identifier: Apache-2.0
internal import Kernel
internal import Postgres

/// How tasks come, are taken, and are called off.
extension TaskQueue {
    /// Who pays for a direct run, and what it reserves.
    package struct Account: Sendable {
        package var budget: String
        package var key: String?
        package var worstCase: Charge
        /// Memory and swap.
        package var memoryMiB: Int

        package init(budget: String, key: String?, worstCase: Charge, memoryMiB: Int) {
            self.budget = budget
            self.key = key
            self.worstCase = worstCase
            self.memoryMiB = memoryMiB
        }
    }

    /// Takes up to `most` tasks that fit into `memoryMiB` together, beginning after a lane.
    package func lease(
        worker: Int,
        most: Int,
        memoryMiB: Int,
        afterLane: Int
    ) async throws(TaskError) -> [Lease] {
        let rows = try await ask(
            work,
            Statements.lease,
            [String(worker), String(most), String(memoryMiB), String(afterLane)]
        )
        return try Self.reading { () throws(PostgresError) in
            var leases: [Lease] = []
            for row in rows { leases.append(try Self.lease(row)) }
            return leases
        }
    }

    /// The first task of each lane that its budget can pay now.
    package func heads() async throws(TaskError) -> [MemorySaving.Head] {
        let rows = try await ask(watch, Statements.heads, [])
        return try Self.reading { () throws(PostgresError) in
            var heads: [MemorySaving.Head] = []
            for row in rows {
                heads.append(
                    MemorySaving.Head(
                        task: try row.int("task_id"),
                        lane: try row.int("lane"),
                        memoryMiB: try row.int("memory_mib")
                    )
                )
            }
            return heads
        }
    }

    /// Begins a direct run: its rows are written and its worst case is reserved. `spec` is JSON.
    /// Answers nil for the fence when the key is known: then nothing was begun, and `ending(of:)`
    /// says what became of the other. One that never began gives its key up to this.
    package func beginRun(
        worker: Int,
        attemptID: String,
        profile: String,
        spec: String,
        account: Account
    ) async throws(TaskError) -> (task: Int, fence: Int?) {
        let rows = try await ask(
            work,
            Statements.beginRun,
            [
                String(worker), attemptID, profile, spec, account.budget, account.key,
                String(account.worstCase.cpuMilliseconds),
                String(account.worstCase.wallMilliseconds), String(account.memoryMiB),
                String(account.worstCase.egressBytes),
            ]
        )
        return try Self.reading { () throws(PostgresError) in
            let row = try rows.only()
            return (try row.int("task_id"), try row.optionalInt("fence"))
        }
    }

    /// Puts tasks into the queue: all or none. `tasks` is the JSON list of `enqueue_many`. Answers
    /// each task's id, and whether it is new.
    package func enqueue(_ tasks: String) async throws(TaskError) -> [(task: Int, isNew: Bool)] {
        let rows = try await ask(watch, Statements.enqueue, [tasks])
        return try Self.reading { () throws(PostgresError) in
            var answers: [(task: Int, isNew: Bool)] = []
            for row in rows { answers.append((try row.int("task_id"), try row.bool("created"))) }
            return answers
        }
    }

    /// Cancels a task; answers its state, nil when there is none.
    package func cancel(task: Int) async throws(TaskError) -> String? {
        try await word(Statements.cancel, task)
    }

    /// Brings back a task that ended badly; answers its state, nil when there is none.
    package func retry(task: Int) async throws(TaskError) -> String? {
        try await word(Statements.retry, task)
    }

    private func word(_ statement: Statement, _ task: Int) async throws(TaskError) -> String? {
        let rows = try await ask(watch, statement, [String(task)])
        return try Self.reading { () throws(PostgresError) in
            try rows.only().optionalText("state")
        }
    }

    private static func lease(_ row: Row) throws(PostgresError) -> Lease {
        Lease(
            key: try row.leaseKey(),
            attempt: try row.int("attempt"),
            attemptID: String(try row.text("attempt_id").filter { $0 != "-" }),
            lane: try row.int("lane"),
            budget: try row.text("budget"),
            profile: try row.text("profile"),
            spec: try row.text("spec"),
            memoryMiB: try row.int("memory_mib"),
            millisecondsToDeadline: try row.optionalInt("deadline_ms")
        )
    }
}
