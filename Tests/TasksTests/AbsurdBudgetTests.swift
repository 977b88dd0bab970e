// SPDX-License-Identifier: Apache-2.0
import Postgres
import Tasks
import Testing

/// Figures that no honest operator sets must not stop a lane, nor lose what has run.
@Suite("Budgets with absurd figures", .database, .timeLimit(.minutes(10)))
struct AbsurdBudgetTests {
    private static let prices =
        #""price_cpu_s":1000000000000,"price_memory_gib_s":1000000000000,"#
        + #""price_run":1000000000000,"price_egress_gib":1000000000000"#

    private static func lease(_ connection: Connection) async throws -> [LeaseKey] {
        try await connection.rows("SELECT task_id, fence FROM sandboxd.lease(1, 10)").map {
            LeaseKey(task: try $0.int("task_id"), fence: try $0.int("fence"))
        }
    }

    /// Settles with far more than was reserved.
    private static func complete(_ keys: [LeaseKey], _ connection: Connection) async throws -> Int {
        let most = ArrayLiteral.integers(keys.map { _ in Int.max })
        return try await connection.rows(
            """
            SELECT * FROM sandboxd.complete($1::bigint[], $2::int[], $3::text[], '{}', $4::bigint[],
                $4::bigint[], $4::bigint[], $4::bigint[])
            """,
            ArrayLiteral.integers(keys.map(\.task)),
            ArrayLiteral.integers(keys.map(\.fence)),
            ArrayLiteral.text(keys.map { _ in "ok" }),
            most
        ).count
    }

    @Test("at the highest prices and without a cap, what passes all sums waits, and none is lost")
    func prices() async throws {
        try await TaskDatabase.with { database in
            try await database.run(
                """
                INSERT INTO sandboxd.profiles VALUES ('vast', 1000000000000000000,
                    1000000000000000, 1024, 1000000000000000000);
                SELECT sandboxd.set_budget('a', '{"money_nanos_cap": null, \(Self.prices)}');
                SELECT sandboxd.register_worker('a', 60);
                SELECT sandboxd.enqueue('vast', '{"argv":["true"]}', 'a')
                FROM generate_series(1, 4);
                """
            )
            try await database.withConnection { connection in
                // One alone costs as much as the column can hold twice.
                let first = try await Self.lease(connection)
                #expect(first.count == 1)
                #expect(try await Self.lease(connection) == [])
                #expect(try await Self.complete(first, connection) == 1)
                #expect(try await Self.lease(connection) == [])
                try await Invariants.expectNone(connection)
                // A person looks at the prices.
                _ = try await connection.rows(
                    "SELECT sandboxd.set_budget('a', $1::jsonb)",
                    #"{"price_cpu_s":0,"price_memory_gib_s":0,"price_run":0,"price_egress_gib":0}"#
                )
                let rest = try await Self.lease(connection)
                #expect(rest.count == 3)
                #expect(try await Self.complete(rest, connection) == 3)
                try await Invariants.expectNone(connection)
            }
        }
    }

    /// What is added up are the figures of the profiles, whatever an attempt says it has used.
    @Test("without caps, sums past what a column holds wait instead of failing")
    func sums() async throws {
        try await TaskDatabase.with { database in
            try await database.run(
                """
                INSERT INTO sandboxd.profiles VALUES ('vast', 1500000000000000000, 1000, 1,
                    1500000000000000000);
                SELECT sandboxd.set_budget('a', '{"cpu_ms_cap": null, "egress_bytes_cap": null}');
                SELECT sandboxd.register_worker('a', 60);
                SELECT sandboxd.enqueue('vast', '{"argv":["true"]}', 'a')
                FROM generate_series(1, 9);
                """
            )
            try await database.withConnection { connection in
                let first = try await Self.lease(connection)
                #expect(first.count == 2)
                #expect(try await Self.complete(first, connection) == 2)
                #expect(try await Self.lease(connection) == [])
                try await Invariants.expectNone(connection)
            }
            // No cap is what people see.
            try await database.withQueue { queue in
                let budget = try #require(try await queue.budget("a"))
                #expect(budget.contains(#""cpu_ms" : {"cap" : null"#))
            }
        }
    }
}
