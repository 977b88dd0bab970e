// SPDX-License-Identifier: Apache-2.0
import Postgres
import Testing

/// The promise of budgets is the database's: here somebody writes past all functions.
@Suite("What no statement can do to a budget", .database, .timeLimit(.minutes(10)))
struct BudgetPromiseTests {
    /// Assignments to a budget with caps of 100 that has used 60 and reserved 40 of everything.
    static let breaches =
        Units.names.flatMap { unit in
            [
                "\(unit)_used = 61", "\(unit)_reserved = 41", "\(unit)_cap = 99",
                "\(unit)_used = -1", "\(unit)_reserved = -1",
                "\(unit)_used = 101, \(unit)_reserved = -1",
                "\(unit)_used = \(Int.max)", "\(unit)_cap = NULL", "\(unit)_used = NULL",
            ]
        } + [
            "price_cpu_s = -1", "price_memory_gib_s = -1", "price_run = 1000000000001",
            "price_egress_gib = NULL", "period = 'week'", "on_exhausted = 'explode'",
            "budget = ''", "budget = repeat('a', 65)",
        ]

    private static func write(_ assignments: String, _ connection: Connection) async -> String? {
        await failure { () throws(PostgresError) in
            try await connection.rows("UPDATE sandboxd.budgets SET \(assignments)")
        }?.sqlState
    }

    @Test("a statement that would break its promise is refused, one that keeps it is not")
    func promise() async throws {
        try await TaskDatabase.with { database in
            let all = Units.names.map { "\($0)_cap = 100, \($0)_used = 60, \($0)_reserved = 40" }
            try await database.run("UPDATE sandboxd.budgets SET \(all.joined(separator: ", "))")
            try await database.withConnection { connection in
                for breach in Self.breaches {
                    let state = await Self.write(breach, connection)
                    // Of a CHECK, of NOT NULL, or of a sum that no column could hold.
                    #expect(["23514", "23502", "22003"].contains(state), "\(breach)")
                }
                for unit in Units.names {
                    let kept = "\(unit)_used = 59, \(unit)_reserved = 41"
                    #expect(await Self.write(kept, connection) == nil, "\(kept)")
                }
            }
        }
    }
}
