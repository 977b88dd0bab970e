// SPDX-License-Identifier: Apache-2.0
import Postgres
import Tasks
import Testing

@Suite("What becomes of a task after an attempt", .database) struct FateTests {
    /// Every word that a verdict can be, and one that no program of ours knows.
    private static let verdicts = [
        "ok", "exit", "signal", "oom", "wall_time", "cpu_time", "pids", "output", "disk", "seccomp",
        "engine_error", "lease_lost", "cancelled", "snoozed", "unheard_of",
    ]
    private static let retryOns: [Set<String>?] = [
        nil, [], ["exit"], ["lease_lost"], ["exit", "engine_error", "oom"],
    ]

    /// One cell of the table.
    private struct Cell {
        let verdict: String
        let isCancelled: Bool
        let retryOn: Set<String>?
        let attempt: Int
        let maximum: Int
        /// Nil is no deadline.
        let isPastDeadline: Bool?

        var fate: TaskFate {
            .after(
                verdict: verdict,
                isCancelled: isCancelled,
                retryOn: retryOn,
                attempt: attempt,
                of: maximum,
                isPastDeadline: isPastDeadline ?? false
            )
        }

        var parameters: [String?] {
            [
                verdict, isCancelled ? "t" : "f", retryOn.map { ArrayLiteral.text($0.sorted()) },
                "\(attempt)", "\(maximum)",
                isPastDeadline.map { $0 ? "-1 second" : "1 hour" },
            ]
        }
    }

    private static let cells: [Cell] = {
        var cells: [Cell] = []
        for verdict in verdicts {
            for isCancelled in [false, true] {
                for retryOn in retryOns {
                    for (attempt, maximum) in [(1, 1), (1, 3), (2, 3), (3, 3), (4, 3), (100, 100)] {
                        for isPastDeadline in [nil, false, true] {
                            cells.append(
                                Cell(
                                    verdict: verdict,
                                    isCancelled: isCancelled,
                                    retryOn: retryOn,
                                    attempt: attempt,
                                    maximum: maximum,
                                    isPastDeadline: isPastDeadline
                                )
                            )
                        }
                    }
                }
            }
        }
        return cells
    }()

    private static let statement = Statement(
        "fate",
        """
        SELECT sandboxd.fate($1, $2::boolean, $3::text[], $4::smallint, $5::smallint,
            now() + $6::interval) AS fate
        """
    )

    @Test("the database decides as TaskFate does", .timeLimit(.minutes(10)))
    func agree() async throws {
        try await TaskDatabase.with { database in
            try await database.withConnection { connection in
                for cell in Self.cells {
                    let row = try await connection.query(
                        Self.statement,
                        cell.parameters,
                        deadline: .seconds(10)
                    ).only()
                    #expect(try row.int("fate") == cell.fate.rawValue, "\(cell)")
                }
            }
        }
    }

    @Test("the database's words for states are TaskFate's")
    func words() async throws {
        try await TaskDatabase.with { database in
            try await database.withConnection { connection in
                for fate in TaskFate.allCases {
                    let word = try await connection.value(
                        "SELECT sandboxd.state_word($1::smallint) AS value",
                        "\(fate.rawValue)"
                    )
                    #expect(word == fate.word)
                }
            }
        }
    }
}
