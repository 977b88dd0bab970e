// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Postgres

@Suite struct ValueTests {
    @Test(
        "an array literal quotes every element and leaves NULL bare",
        arguments: [
            ([], "{}"),
            (["a", "b", nil], #"{"a","b",NULL}"#),
            (["NULL", "", " "], #"{"NULL",""," "}"#),
            ([#"say "hi""#, #"C:\x"#, "{a,b}"], #"{"say \"hi\"","C:\\x","{a,b}"}"#),
            (["\"\u{301}"], "{\"\\\"\u{301}\"}"),
        ] as [([String?], String)]
    )
    func arrayOfTexts(elements: [String?], literal: String) {
        #expect(ArrayLiteral.text(elements) == literal)
    }

    @Test("an array of integers is plain")
    func arrayOfIntegers() {
        #expect(ArrayLiteral.integers([1, -2, 3]) == "{1,-2,3}")
        #expect(ArrayLiteral.integers([Int]()) == "{}")
    }

    @Test("rows name the column that they cannot read")
    func rows() throws {
        let rows = Rows(
            columns: ["id", "name", "done"],
            cells: ["7", nil, "t", "x", "b", "maybe"],
            rowCount: 2,
            affected: 2
        )
        #expect(try rows[0].int("id") == 7)
        #expect(try rows[0].optionalText("name") == nil)
        #expect(try rows[0].bool("done"))
        #expect(throws: PostgresError.malformed("PostgreSQL's column \"name\" is NULL")) {
            try rows[0].text("name")
        }
        #expect(throws: PostgresError.malformed("PostgreSQL's column \"id\" is not an integer")) {
            try rows[1].int("id")
        }
        #expect(
            throws: PostgresError.malformed("PostgreSQL's column \"done\" is not a truth value")
        ) { try rows[1].bool("done") }
        #expect(throws: PostgresError.malformed("PostgreSQL's answer has no column \"age\"")) {
            try rows[0].int("age")
        }
        #expect(
            throws: PostgresError.malformed("one row was expected of PostgreSQL, and 2 came")
        ) { try rows.only() }
    }

    @Test(
        "an error says whether to try again",
        arguments: [
            ("08006", true), ("57P01", true), ("57P03", true), ("53300", true), ("25006", true),
            ("40001", true), ("40P01", true), ("23505", false), ("42601", false), ("57014", true),
            ("55P03", true), ("58030", true), ("22P02", false),
        ]
    )
    func transience(sqlState: String, isTransient: Bool) {
        let error = PostgresError.server(sqlState: sqlState, message: "no", detail: nil)
        #expect(error.isTransient == isTransient)
        #expect(error.hadNoEffect)
    }

    @Test("an error is one line")
    func oneLine() {
        let error = PostgresError.unreachable("first\n\tsecond\n")
        #expect("\(error)" == "cannot connect to PostgreSQL: first; second")
    }

    @Test("pauses double, stay below their limit and are never less than half")
    func backoff() {
        var backoff = Backoff(from: .milliseconds(50), to: .seconds(5))
        var random = SystemRandomNumberGenerator()
        for span in [50, 100, 200, 400, 800, 1600, 3200, 5000, 5000] {
            let pause = backoff.next(using: &random)
            #expect(pause >= .milliseconds(span) / 2 && pause <= .milliseconds(span))
        }
        backoff.reset()
        #expect(backoff.next(using: &random) <= .milliseconds(50))
    }

    @Test("an identifier's quotes are doubled")
    func identifier() {
        #expect(Identifier.quoted(#"jobs"1"#) == #""jobs""1""#)
    }
}
