// SPDX-License-Identifier: Apache-2.0
internal import Kernel
internal import Postgres

/// What the database remembers of a node's container engine.
extension TaskQueue {
    /// An engine that failed: how often in a row, why, and for how long it is left alone.
    package struct Circuit: Sendable, Hashable {
        package var failures: Int
        package var reason: String
        package var cooldown: Duration

        package init(failures: Int, reason: String, cooldown: Duration) {
            self.failures = failures
            self.reason = reason
            self.cooldown = cooldown
        }
    }

    /// Takes note of an engine's state; no failures means that it works.
    package func keep(
        _ circuit: Circuit,
        of engine: String,
        node: String
    ) async throws(TaskError) {
        _ = try await ask(
            work,
            Statements.keepCircuit,
            [
                node, engine, String(circuit.failures), circuit.reason,
                String(circuit.cooldown.milliseconds / 1000),
            ]
        )
    }

    /// What was noted last; nil for an engine that works.
    package func circuit(of engine: String, node: String) async throws(TaskError) -> Circuit? {
        let rows = try await ask(work, Statements.circuit, [node, engine])
        return try Self.reading { () throws(PostgresError) in
            for row in rows {
                return Circuit(
                    failures: try row.int("failures"),
                    reason: try row.text("reason"),
                    cooldown: .milliseconds(try row.int("cooldown_ms"))
                )
            }
            return nil
        }
    }
}
