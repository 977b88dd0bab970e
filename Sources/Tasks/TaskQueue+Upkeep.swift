// SPDX-License-Identifier: Apache-2.0
internal import Postgres

/// What keeps the tables in order. Every node may do all of it at any time.
extension TaskQueue {
    /// Takes away the leases of workers that are over; answers the attempts it settled. `silent`
    /// are workers that the caller has watched not to beat.
    package func sweep(silent: [BeatWatch.Silence]) async throws(TaskError) -> [LeaseKey] {
        let rows = try await ask(
            watch,
            Statements.sweep,
            [
                ArrayLiteral.integers(silent.map(\.worker)),
                ArrayLiteral.integers(silent.map(\.beats)),
            ]
        )
        return try Self.keys(rows)
    }

    /// What workers that are over still hold.
    package func leasesOfRetired() async throws(TaskError) -> Set<LeaseKey> {
        Set(try Self.keys(try await ask(watch, Statements.retiredLeases, [])))
    }

    /// Makes due tasks ready, and begins new periods of budgets; answers how many tasks.
    package func promote() async throws(TaskError) -> Int {
        let rows = try await ask(watch, Statements.promote, [])
        return try Self.reading { () throws(PostgresError) in try rows.only().int("promoted") }
    }

    /// Makes partitions ahead and removes what is too old, in batches that are short each. Ends
    /// early when another node is at it, or when the task is cancelled.
    package func maintain(keepDays: Int) async throws(TaskError) {
        _ = try await ask(watch, Statements.maintain, [String(keepDays)])
        var after: String? = "0"
        while let place = after, !Task.isCancelled {
            after = try await next(Statements.expireTasks, [String(keepDays), place])
        }
        after = ""
        while let place = after, !Task.isCancelled {
            after = try await next(Statements.expireBlobs, [place])
        }
    }

    private func next(
        _ statement: Statement,
        _ parameters: [String]
    ) async throws(TaskError) -> String? {
        let rows = try await ask(watch, statement, parameters)
        return try Self.reading { () throws(PostgresError) in
            try rows.only().optionalText("next")
        }
    }

    /// Tells the database what a profile allows one attempt: memory and swap together, and how much
    /// of that is swap. `approval` is never, required or egress.
    package func publish(
        profile: String,
        worstCase: Charge,
        memoryMiB: Int,
        swapBytes: Int,
        approval: String
    ) async throws(TaskError) {
        _ = try await ask(
            watch,
            Statements.publish,
            [
                profile, String(worstCase.cpuMilliseconds), String(worstCase.wallMilliseconds),
                String(memoryMiB), String(worstCase.egressBytes), approval, String(swapBytes),
            ]
        )
    }
}
