// SPDX-License-Identifier: Apache-2.0
internal import Postgres

/// How attempts are settled.
extension TaskQueue {
    /// Settles attempts in one transaction. Safe to send again when the answer was lost: what the
    /// first sending settled is found in the history.
    package func settle(
        worker: Int,
        _ completions: [Completion]
    ) async throws(TaskError) -> [LeaseKey: Settlement] {
        let rows = try await ask(work, Statements.settle, Self.arrays(completions))
        var settlements: [LeaseKey: Settlement] = [:]
        try Self.readStates(rows, into: &settlements)
        await wakeOthers(completions, settlements)
        let unsettled = completions.map(\.key).filter { settlements[$0] == nil }
        guard !unsettled.isEmpty else { return settlements }
        // Fenced off; or settled by an earlier sending whose answer was lost.
        let history = try await ask(
            work,
            Statements.settledBefore,
            [
                String(worker), ArrayLiteral.integers(unsettled.map(\.task)),
                ArrayLiteral.integers(unsettled.map(\.fence)),
            ]
        )
        try Self.readStates(history, into: &settlements)
        for key in unsettled where settlements[key] == nil { settlements[key] = .fencedOff }
        return settlements
    }

    /// Tells nodes that wait of tasks that were given back. After the commit, and only then: every
    /// other settlement makes nothing ready, or not yet.
    private func wakeOthers(
        _ completions: [Completion],
        _ settlements: [LeaseKey: Settlement]
    ) async {
        let isReady = completions.contains { completion in
            completion.verdict == "snoozed" && settlements[completion.key] == .settled(.open)
        }
        // A hint: who misses it looks by himself a second later.
        if isReady { _ = try? await ask(watch, Statements.wake, []) }
    }

    private static func arrays(_ completions: [Completion]) -> [String?] {
        [
            ArrayLiteral.integers(completions.map(\.key.task)),
            ArrayLiteral.integers(completions.map(\.key.fence)),
            ArrayLiteral.text(completions.map(\.verdict)),
            ArrayLiteral.text(completions.map { $0.exitCode.map(String.init) }),
            ArrayLiteral.integers(completions.map(\.charge.cpuMilliseconds)),
            ArrayLiteral.integers(completions.map(\.charge.memoryMiBSeconds)),
            ArrayLiteral.integers(completions.map(\.charge.wallMilliseconds)),
            ArrayLiteral.integers(completions.map(\.charge.egressBytes)),
            ArrayLiteral.text(completions.map(\.source.rawValue)),
            ArrayLiteral.text(completions.map(\.report)),
        ]
    }

    private static func readStates(
        _ rows: Rows,
        into settlements: inout [LeaseKey: Settlement]
    ) throws(TaskError) {
        try reading { () throws(PostgresError) in
            for row in rows {
                let key = try row.leaseKey()
                guard let fate = TaskFate(rawValue: try row.int("state")) else {
                    throw .malformed("task \(key.task) is in a state that is unknown here")
                }
                settlements[key] = .settled(fate)
            }
        }
    }
}
