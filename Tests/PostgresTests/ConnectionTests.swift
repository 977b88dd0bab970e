// SPDX-License-Identifier: Apache-2.0
import Kernel
import Testing

@testable import Postgres

@Suite(.database, .timeLimit(.minutes(5))) struct ConnectionTests {
    @Test(
        "a text comes back as it was sent",
        arguments: [
            "", "plain", nil, "it's \"quoted\" \\ and {braced}", "Grüße, 世界 🎈", "a\nb\tc\r\n",
        ] as [String?]
    )
    func roundTrip(text: String?) async throws {
        try await Database.withConnection { connection in
            let rows = try await connection.query(.echo, [text], deadline: .seconds(10))
            #expect(try rows.only().optionalText("value") == text)
        }
    }

    @Test("the server reads an array literal as it was meant")
    func arrays() async throws {
        let elements: [String?] = ["a,b", "NULL", nil, #""\{}"#, "", " ", "ü\n"]
        try await Database.withConnection { connection in
            let rows = try await connection.query(
                Statement("unnest", "SELECT unnest($1::text[]) AS element"),
                [ArrayLiteral.text(elements)],
                deadline: .seconds(10)
            )
            #expect(try rows.map { try $0.optionalText("element") } == elements)
            let sum = try await connection.query(
                Statement("sum", "SELECT sum(n) AS sum FROM unnest($1::int[]) AS n"),
                [ArrayLiteral.integers([1, 2, -7])],
                deadline: .seconds(10)
            )
            #expect(try sum.only().int("sum") == -4)
        }
    }

    @Test("a NUL in a parameter is refused before anything is sent")
    func nul() async throws {
        try await Database.withConnection { connection in
            let error = await Database.failure { () async throws(PostgresError) in
                try await connection.query(.echo, ["a\0b"], deadline: .seconds(10))
            }
            #expect(
                error == .malformed("parameter $1 has a NUL in it, which no text may")
            )
        }
    }

    @Test("an error in the middle of a pipeline leaves its neighbours alone")
    func errorAmongOthers() async throws {
        try await Database.withConnection { connection in
            async let before = connection.query(.divide, ["1"], deadline: .seconds(10))
            async let bad = Database.failure { () async throws(PostgresError) in
                try await connection.query(.divide, ["0"], deadline: .seconds(10))
            }
            async let unknown = Database.failure { () async throws(PostgresError) in
                try await connection.query(.nonsense, deadline: .seconds(10))
            }
            async let after = connection.query(.divide, ["-1"], deadline: .seconds(10))
            let rows = try await (before, after)
            #expect(try rows.0.only().int("quotient") == 1)
            #expect(await bad?.sqlState == "22012")
            #expect(await unknown?.sqlState == "42P01")
            #expect(try rows.1.only().int("quotient") == -1)
        }
    }

    /// What was sent while a statement's preparation was under way refers to a name that the
    /// server then does not know.
    @Test("a statement that cannot be prepared fails for the same reason each time")
    func refusedPreparation() async throws {
        try await Database.withConnection { connection in
            let errors = await withTaskGroup(of: PostgresError?.self) { group in
                for _ in 0..<5 {
                    group.addTask {
                        await Database.failure { () async throws(PostgresError) in
                            try await connection.query(.nonsense, deadline: .seconds(10))
                        }
                    }
                }
                return await group.reduce(into: []) { $0.append($1) }
            }
            #expect(errors.map { $0?.sqlState } == Array(repeating: "42P01", count: 5))
        }
    }

    @Test("a constraint that is checked at the commit refuses the statement")
    func deferredConstraint() async throws {
        try await Database.withConnection { connection in
            try await connection.script(
                "CREATE TEMP TABLE late (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)",
                deadline: .seconds(10)
            )
            let insert = Statement("late", "INSERT INTO late VALUES ($1::int)")
            #expect(try await connection.query(insert, ["1"], deadline: .seconds(10)).affected == 1)
            let error = await Database.failure { () async throws(PostgresError) in
                try await connection.query(insert, ["1"], deadline: .seconds(10))
            }
            #expect(error?.isUniqueViolation == true)
            #expect(try await connection.query(insert, ["2"], deadline: .seconds(10)).affected == 1)
        }
    }

    @Test("a statement is prepared anew when a table has changed its shape")
    func changedSchema() async throws {
        try await Database.withConnection { connection in
            let all = Statement("all", "SELECT * FROM shape")
            try await connection.script("CREATE TEMP TABLE shape (a int)", deadline: .seconds(10))
            _ = try await connection.query(all, deadline: .seconds(10))
            try await connection.script("ALTER TABLE shape ADD b int", deadline: .seconds(10))
            let error = await Database.failure { () async throws(PostgresError) in
                try await connection.query(all, deadline: .seconds(10))
            }
            #expect(error?.sqlState == "0A000")
            #expect(try await connection.query(all, deadline: .seconds(10)).columns == ["a", "b"])
        }
    }

    @Test("a thousand statements go through one connection at once")
    func thousand() async throws {
        try await Database.withConnection { connection in
            let sum = try await withThrowingTaskGroup(of: Int.self) { group in
                for number in 1...1000 {
                    group.addTask {
                        let rows = try await connection.query(
                            .echo,
                            [String(number)],
                            deadline: .seconds(30)
                        )
                        return try rows.only().int("value")
                    }
                }
                return try await group.reduce(0, +)
            }
            #expect(sum == 500_500)
        }
    }

    @Test("a value of eight megabytes goes there and back")
    func large() async throws {
        let text = String(repeating: "0123456789abcdef", count: 512 << 10)
        try await Database.withConnection { connection in
            async let first = connection.query(.echo, [text], deadline: .seconds(30))
            async let second = connection.query(.echo, [text + "!"], deadline: .seconds(30))
            let rows = try await (first, second)
            #expect(try rows.0.only().text("value") == text)
            #expect(try rows.1.only().text("value") == text + "!")
        }
    }

    @Test("a statement beyond the limit is refused")
    func full() async throws {
        var limits = Connection.Limits()
        limits.statements = 2
        try await Database.withConnection(limits: limits) { connection in
            try await Database.withConnection { other in
                let backend = try #require(await connection.backend)
                _ = try await other.query(.lock, ["3"], deadline: .seconds(10))
                async let one = connection.query(.lock, ["3"], deadline: .seconds(30))
                try await Database.waitUntilLocked(backend)
                // Of these two, the first to be asked waits behind that one.
                let failures = try await withThrowingTaskGroup(of: PostgresError?.self) { group in
                    for _ in 1...2 {
                        group.addTask {
                            await Database.failure { () async throws(PostgresError) in
                                try await connection.query(.one, deadline: .seconds(30))
                            }
                        }
                    }
                    let first = try await group.next()
                    _ = try await other.query(.unlock, ["3"], deadline: .seconds(10))
                    return [first, try await group.next()]
                }
                #expect(failures == [.full(limit: 2), .some(nil)])
                _ = try await one
                _ = try await connection.query(.one, deadline: .seconds(10))
            }
        }
    }

    @Test("a statement that is executed for longer than its deadline is late")
    func lateAlone() async throws {
        try await Database.withConnection { connection in
            let failure = await Database.failure { () async throws(PostgresError) in
                try await connection.query(.sleep, ["30"], deadline: .milliseconds(200))
            }
            #expect(failure == .late(doing: "the statement sleep", after: .milliseconds(200)))
        }
    }

    @Test("a statement past its deadline closes the connection, and its neighbours are lost")
    func late() async throws {
        try await Database.withConnection { connection in
            let backend = try #require(await connection.backend)
            async let first = Database.failure { () async throws(PostgresError) in
                try await connection.query(.sleep, ["30.5"], deadline: .seconds(20))
            }
            try await Database.withConnection { try await Database.wait($0, untilBusy: backend) }
            let slow = await Database.failure { () async throws(PostgresError) in
                try await connection.query(.sleep, ["30"], deadline: .milliseconds(200))
            }
            #expect(slow == .late(doing: "the statement sleep", after: .milliseconds(200)))
            guard case .lost = await first else {
                Issue.record("not lost: \(String(describing: await first))")
                return
            }
            let next = await Database.failure { () async throws(PostgresError) in
                try await connection.query(.one, deadline: .seconds(1))
            }
            guard case .notConnected = next else {
                Issue.record("not refused: \(String(describing: next))")
                return
            }
        }
    }

    @Test("a killed backend loses what is under way, with the server's reason")
    func killed() async throws {
        try await Database.withConnection { connection in
            try await Database.withConnection { other in
                let backend = try #require(await connection.backend)
                _ = try await other.query(.lock, ["1"], deadline: .seconds(5))
                async let first = Database.failure { () async throws(PostgresError) in
                    try await connection.query(.lock, ["1"], deadline: .seconds(30))
                }
                try await Database.waitUntilLocked(backend)
                async let second = Database.failure { () async throws(PostgresError) in
                    try await connection.query(.one, deadline: .seconds(30))
                }
                _ = try await other.query(.terminate, ["\(backend)"], deadline: .seconds(5))
                let reason = "terminating connection due to administrator command"
                #expect(await first == .lost(reason))
                // Under load it may come after the end, and is not sent at all.
                switch await second {
                case .lost(let why)?: #expect(why == reason)
                case .notConnected(let why)?: #expect(why.contains(reason))
                case let other:
                    Issue.record("neither lost nor refused: \(String(describing: other))")
                }
                #expect(await connection.closed() == .lost(reason))
            }
        }
    }

    @Test("an idle connection notices that its backend is killed, and why")
    func killedIdle() async throws {
        try await Database.withConnection { connection in
            _ = try await connection.query(.one, deadline: .seconds(5))
            try await Database.withConnection { other in
                let backend = try #require(await connection.backend)
                _ = try await other.query(.terminate, ["\(backend)"], deadline: .seconds(5))
                #expect(
                    await connection.closed()
                        == .lost("terminating connection due to administrator command")
                )
            }
        }
    }

    @Test("a notification arrives, on an idle connection as well")
    func notification() async throws {
        let (heard, teller) = AsyncStream.makeStream(of: Postgres.Notification.self)
        try await Database.withConnection(notified: { teller.yield($0) }) { connection in
            try await connection.script("LISTEN \"a channel\"", deadline: .seconds(5))
            try await Database.withConnection { other in
                let notify = Statement("notify", "SELECT pg_notify('a channel', $1)")
                _ = try await other.query(notify, ["Grüße"], deadline: .seconds(5))
                var notifications = heard.makeAsyncIterator()
                let notification = try #require(await notifications.next())
                #expect(notification.channel == "a channel")
                #expect(notification.payload == "Grüße")
                #expect(notification.backend == (await other.backend))
            }
        }
    }

    @Test("a script runs several statements, alone, as one transaction")
    func script() async throws {
        try await Database.withConnection { connection in
            async let before = connection.query(.echo, ["before"], deadline: .seconds(10))
            async let script: Void = connection.script(
                "CREATE TEMP TABLE t (a int); INSERT INTO t VALUES (1), (2)",
                deadline: .seconds(10)
            )
            async let after = connection.query(.echo, ["after"], deadline: .seconds(10))
            let rows = try await (before, after)
            try await script
            #expect(try rows.0.only().text("value") == "before")
            #expect(try rows.1.only().text("value") == "after")
            let count = Statement("count", "SELECT count(*) AS n FROM t")
            #expect(try await connection.query(count, deadline: .seconds(5)).only().int("n") == 2)
            let error = await Database.failure { () async throws(PostgresError) in
                try await connection.script(
                    "INSERT INTO t VALUES (3); SELECT 1/0; INSERT INTO t VALUES (4)",
                    deadline: .seconds(5)
                )
            }
            #expect(error?.sqlState == "22012")
            #expect(try await connection.query(count, deadline: .seconds(5)).only().int("n") == 2)
        }
    }

    @Test("a script that leaves its transaction open is rolled back and refused")
    func openTransaction() async throws {
        try await Database.withConnection { connection in
            let left = await Database.failure { () async throws(PostgresError) in
                try await connection.script(
                    "BEGIN; CREATE TEMP TABLE u (a int)",
                    deadline: .seconds(5)
                )
            }
            #expect(
                left == .malformed("a script left its transaction open, which was rolled back")
            )
            let failed = await Database.failure { () async throws(PostgresError) in
                try await connection.script("BEGIN; SELECT 1/0; COMMIT", deadline: .seconds(5))
            }
            #expect(failed?.sqlState == "22012")
            _ = try await connection.query(.one, deadline: .seconds(5))
        }
    }

    @Test("COPY ends the connection instead of blocking it")
    func copy() async throws {
        try await Database.withConnection { connection in
            let error = await Database.failure { () async throws(PostgresError) in
                try await connection.query(
                    Statement("copy", "COPY (SELECT 1) TO STDOUT"),
                    deadline: .seconds(5)
                )
            }
            #expect(error != nil)
            #expect(error != .late(doing: "the statement copy", after: .seconds(5)))
        }
    }

    @Test("a retired connection answers what is under way and then ends")
    func retired() async throws {
        try await Database.withConnection { connection in
            let backend = try #require(await connection.backend)
            try await Database.withConnection { other in
                _ = try await other.query(.lock, ["2"], deadline: .seconds(5))
                async let slow = connection.query(.lock, ["2"], deadline: .seconds(30))
                try await Database.waitUntilLocked(backend)
                await connection.retire("enough")
                #expect(await !connection.isOpen)
                _ = try await other.query(.unlock, ["2"], deadline: .seconds(5))
                #expect(try await slow.count == 1)
                #expect(await connection.closed() == .lost("enough"))
            }
        }
    }
}
