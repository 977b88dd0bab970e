// SPDX-License-Identifier: Apache-2.0
import Postgres
import Testing

/// Nothing that a caller can say is executed or comes back as an internal error.
@Suite("Tasks that are refused", .database, .timeLimit(.minutes(10))) struct EnqueueRefusalTests {
    /// A batch, and the SQLSTATE that it must get; nil when it must be taken.
    struct Row: Sendable, CustomStringConvertible {
        let batch: String
        let sqlState: String?

        var description: String { "\(sqlState ?? "taken"): \(batch.prefix(120))" }
    }

    /// A task with members of the caller's.
    private static func task(_ members: String) -> String {
        #"[{"profile":"code","spec":{"argv":["true"]}\#(members)}]"#
    }

    private static func spec(_ spec: String) -> String {
        #"[{"profile":"code","spec":\#(spec)}]"#
    }

    private static func malformed(_ batches: [String]) -> [Row] {
        batches.map { Row(batch: $0, sqlState: "SB002") }
    }

    private static func taken(_ batches: [String]) -> [Row] {
        batches.map { Row(batch: $0, sqlState: nil) }
    }

    private static let anything = [
        "null", "true", "0", "-1", "1.5", "1e30", "1e-30", #""""#, #""x""#, "[]", "[1]", "{}",
        #"{"a":1}"#, "[[[]]]", "[null]", #""\u00e9\u2028\ud83d\ude00""#, #""NaN""#, #""Infinity""#,
    ]

    private static let hostile = [
        "'; DROP TABLE sandboxd.tasks; --", "$$; DROP TABLE sandboxd.tasks; $$", #"\'; --"#,
        #"\"#, "\"", "%s %I %L %", "$1", "{a,b}", "NULL", "{\"a\":\"b\"}", "\u{202e}💥\u{1}\n\t",
        "' || (SELECT pg_sleep(60)) || '",
    ]

    static let batches: [Row] =
        malformed(["null", "1", #""x""#, "{}", #"{"tasks":[]}"#])
        + malformed(["[null]", "[1]", #"["x"]"#, "[[]]"])
        // A single task and its batch are refused as one.
        + malformed([#"[{"profile":"code","spec":{"argv":["true"]}},{}]"#])
        + taken(["[]"])

    static let fields: [Row] =
        malformed([
            #"[{}]"#, #"[{"profile":"code"}]"#, task(#","unheard":1"#), task(#","Profile":"code""#),
            task(#","priority":"1""#), task(#","priority":101"#), task(#","priority":-101"#),
            task(#","priority":1.5"#), task(#","priority":1e30"#), task(#","priority":32768"#),
            task(#","max_attempts":0"#), task(#","max_attempts":101"#),
            task(#","max_attempts":"3""#),
            task(#","max_attempts":1e300"#), task(#","max_attempts":0.5"#),
            task(#","key":"""#), task(#","key":1"#),
            task(#","key":"\#(String(repeating: "k", count: 201))""#),
            task(#","key":"\#(String(repeating: "é", count: 201))""#),
            task(#","run_at":"soon""#), task(#","run_at":1"#), task(#","run_at":"""#),
            task(#","run_at":"infinity""#), task(#","run_at":"-infinity""#),
            task(#","run_at":"2030-13-01T00:00:00Z""#), task(#","run_at":"99999999-01-01""#),
            task(#","run_at":"2030-01-01 00:00 Nowhere/Town""#),
            task(#","run_at":"2030-01-01T00:00:00+99""#),
            task(#","run_at":"2999-01-01T00:00:00Z""#),
            task(#","run_at":"'; SELECT 1; --""#), task(#","deadline_at":"2001-01-01T00:00:00Z""#),
            task(#","deadline_at":"infinity""#), task(#","deadline_at":"-infinity""#),
            task(#","deadline_at":"now""#), task(#","deadline_at":{}"#),
            task(#","run_at":"tomorrow","deadline_at":"today""#),
            task(#","retry_on":"exit""#), task(#","retry_on":["ok"]"#),
            task(#","retry_on":[null]"#),
            task(#","retry_on":["exit",1]"#), task(#","retry_on":{"exit":true}"#),
            task(#","retry_on":[["exit"]]"#), task(#","pool":"gpu""#), task(#","pool":1"#),
            task(#","blobs":"ab""#), task(#","blobs":{}"#), task(#","blobs":["xyz"]"#),
            task(#","blobs":["ab"]"#), task(#","blobs":[null]"#), task(#","blobs":[1]"#),
            task(#","blobs":[["ab"]]"#), task(#","blobs":["a"]"#),
            task(#","blobs":["\#(String(repeating: "0", count: 64))"]"#),
            task(#","budget":1"#), task(#","profile":["code"]"#),
        ])
        + [
            Row(batch: #"[{"profile":"none","spec":{"argv":["a"]}}]"#, sqlState: "SB001"),
            Row(batch: #"[{"profile":null,"spec":{"argv":["a"]}}]"#, sqlState: "SB001"),
            Row(batch: #"[{"profile":"","spec":{"argv":["a"]}}]"#, sqlState: "SB001"),
            Row(batch: task(#","budget":"none""#), sqlState: "SB006"),
            Row(batch: task(#","budget":"""#), sqlState: "SB006"),
        ]
        + taken([
            task(#","priority":100"#), task(#","priority":-100.0"#), task(#","priority":1e1"#),
            task(#","max_attempts":3.0"#), task(#","max_attempts":100"#), task(#","key":null"#),
            task(#","key":"\#(String(repeating: "é", count: 200))""#), task(#","budget":null"#),
            task(#","retry_on":[]"#), task(#","retry_on":["exit","exit"]"#), task(#","blobs":[]"#),
            task(#","run_at":"2001-01-01T00:00:00Z""#), task(#","retry_on":null"#),
            task(#","deadline_at":"9999-01-01T00:00:00Z""#),
        ])

    static let specs: [Row] =
        malformed(
            [
                "null", "1", "[]", #""x""#, "{}", #"{"argv":[]}"#, #"{"argv":"true"}"#,
                #"{"argv":["true",1]}"#, #"{"argv":[null]}"#, #"{"argv":[["true"]]}"#,
                #"{"argv":{"0":"true"}}"#, #"{"argv":null}"#,
                #"{"argv":["\#(String(repeating: "x", count: 65536))"]}"#,
                // What is the task's to say would count in a spec and be checked by nobody.
                #"{"argv":["true"],"profile":"big"}"#, #"{"argv":["true"],"profile":"code"}"#,
                #"{"argv":["true"],"profile":null}"#, #"{"argv":["true"],"budget":"default"}"#,
                #"{"argv":["true"],"key":"k"}"#, #"{"argv":["true"],"prof\u0069le":"big"}"#,
                #"{"argv":["true"],"stdin_stream":true}"#,
                #"{"argv":["true"],"stdin_stream":null}"#, #"{"argv":["true"],"stdin_stream":0}"#,
            ].map(spec)
        )
        + malformed(
            [
                "null", "[]", "1", #""x""#, #"{"cpu_time_ms":"100"}"#, #"{"cpu_time_ms":-1}"#,
                #"{"cpu_time_ms":0}"#, #"{"cpu_time_ms":0.5}"#, #"{"cpu_time_ms":1e30}"#,
                #"{"cpu_time_ms":1001}"#, #"{"wall_time_ms":null}"#, #"{"wall_time_ms":[1]}"#,
                #"{"wall_time_ms":2000.5}"#, #"{"memory_bytes":true}"#,
                #"{"memory_bytes":99999999999999999999999999}"#, #"{"memory_bytes":-1e300}"#,
                #"{"swap_bytes":1}"#, #"{"swap_bytes":-1}"#, #"{"swap_bytes":0.5}"#,
                #"{"swap_bytes":"0"}"#,
            ].map { spec(#"{"argv":["true"],"limits":\#($0)}"#) }
        )
        + taken(
            [
                #"{"argv":["true"],"limits":{}}"#, #"{"argv":[""]}"#,
                #"{"argv":["true"],"limits":{"cpu_time_ms":1,"wall_time_ms":2000.0}}"#,
                #"{"argv":["true"],"limits":{"memory_bytes":1}}"#,
                #"{"argv":["true"],"limits":{"swap_bytes":0}}"#,
                // A body of POST /v1/tasks may say so.
                #"{"argv":["true"],"stdin_stream":false}"#,
                #"{"argv":["\#(String(repeating: "x", count: 65000))"]}"#,
            ].map(spec)
        )

    @Test("each refusal has a state of ours, and what is not refused is taken")
    func table() async throws {
        try await TaskDatabase.with { database in
            try await database.withConnection { connection in
                for row in Self.batches + Self.fields + Self.specs {
                    let error = await Self.enqueue(connection, row.batch)
                    let why = error.map { "\($0)" } ?? ""
                    #expect(error?.sqlState == row.sqlState, "\(row): \(why)")
                }
                try await Invariants.expectNone(connection)
            }
        }
    }

    private static func enqueue(_ connection: Connection, _ batch: String) async -> PostgresError? {
        await failure { () throws(PostgresError) in
            try await connection.rows("SELECT * FROM sandboxd.enqueue_many($1::jsonb)", batch)
        }
    }

    /// Whatever is put wherever: taken, or refused with a state of ours.
    @Test("no value in any place makes an error that is not ours")
    func anythingAnywhere() async throws {
        let strings = (Self.hostile + [String(repeating: "9", count: 400)]).map(JSONText.string)
        let values = Self.anything + strings
        let places = [
            "profile", "spec", "budget", "key", "priority", "run_at", "max_attempts", "retry_on",
            "deadline_at", "pool", "blobs",
        ]
        try await TaskDatabase.with { database in
            try await database.withConnection { connection in
                for value in values {
                    var batches = places.map { place in
                        let base = #""profile":"code","spec":{"argv":["true"]}"#
                        // Of two members of one name, JSON takes the later.
                        return #"[{\#(base),"\#(place)":\#(value)}]"#
                    }
                    batches.append("[\(value)]")
                    for limit in ["cpu_time_ms", "wall_time_ms", "memory_bytes", "pids"] {
                        let limits = #"{"\#(limit)":\#(value)}"#
                        batches.append(Self.spec(#"{"argv":["true"],"limits":\#(limits)}"#))
                    }
                    batches.append(Self.spec(#"{"argv":[\#(value)]}"#))
                    batches.append(Self.task(#","retry_on":[\#(value)]"#))
                    batches.append(Self.task(#","blobs":[\#(value)]"#))
                    for batch in batches {
                        let error = await Self.enqueue(connection, batch)
                        let isOurs = error?.sqlState?.hasPrefix("SB0") ?? true
                        #expect(isOurs, "\(batch): \(error.map { "\($0)" } ?? "")")
                    }
                }
                try await Invariants.expectNone(connection)
            }
        }
    }

    @Test("hostile texts are kept as they are", arguments: hostile)
    func verbatim(text: String) async throws {
        try await TaskDatabase.with { database in
            try await database.withConnection { connection in
                let string = JSONText.string(text)
                let spec = #"{"argv":[\#(string)],"env":{\#(string):\#(string)}}"#
                let id = try await connection.rows(
                    "SELECT task_id FROM sandboxd.enqueue_many($1::jsonb)",
                    #"[{"profile":"code","key":\#(string),"spec":\#(spec)}]"#
                ).only().text("task_id")
                let row = try await connection.rows(
                    """
                    SELECT k.key, t.spec -> 'argv' ->> 0 AS argument,
                        (SELECT key || value FROM jsonb_each_text(t.spec -> 'env')) AS variable
                    FROM sandboxd.tasks t JOIN sandboxd.task_keys k USING (task_id)
                    WHERE t.task_id = $1::bigint
                    """,
                    id
                ).only()
                #expect(try row.text("key") == text)
                #expect(try row.text("argument") == text)
                #expect(try row.text("variable") == text + text)
            }
        }
    }

    @Test("ten thousand tasks are a batch, and one more are not")
    func batchLimit() async throws {
        try await TaskDatabase.with { database in
            try await database.withConnection { connection in
                let one = #"{"profile":"code","spec":{"argv":["true"]}}"#
                let most = Array(repeating: one, count: 10_000)
                let error = await Self.enqueue(connection, JSONText.list(most + [one]))
                #expect(error?.sqlState == "SB002")
                let none = await Self.enqueue(connection, JSONText.list(most))
                #expect(none == nil)
                let order = try await connection.value(
                    """
                    SELECT bool_and(task_id > before) AS value FROM (SELECT task_id,
                        lag(task_id, 1, 0::bigint) OVER (ORDER BY rank, seq) AS before
                        FROM sandboxd.task_ready) AS r
                    """
                )
                #expect(order == "t")
            }
        }
    }

    @Test("a key that belongs to something else is refused, in the same batch too")
    func keys() async throws {
        try await TaskDatabase.with { database in
            try await database.withConnection { connection in
                let first = #"{"profile":"code","key":"k","spec":{"argv":["a"]}}"#
                let other = #"{"profile":"code","key":"k","spec":{"argv":["b"]}}"#
                let error = await Self.enqueue(connection, "[\(first),\(other)]")
                #expect(error?.sqlState == "SB003")
                let rows = try await connection.rows(
                    "SELECT task_id, created FROM sandboxd.enqueue_many($1::jsonb) ORDER BY ord",
                    "[\(first),\(first)]"
                )
                #expect(try rows.map { try $0.bool("created") } == [true, false])
                #expect(Set(try rows.map { try $0.int("task_id") }).count == 1)
                let again = await Self.enqueue(connection, "[\(other)]")
                #expect(again?.sqlState == "SB003")
            }
        }
    }

    /// A profile's limits can be so large that reserving overflows; a budget's cap refuses first.
    @Test("what could never be paid is refused at once")
    func payable() async throws {
        try await TaskDatabase.with { database in
            try await database.withConnection { connection in
                try await connection.script(
                    """
                    SELECT sandboxd.set_budget('dear', '{"money_nanos_cap": 999999999999999999,
                        "price_cpu_s": 1000000000000}');
                    INSERT INTO sandboxd.profiles
                    VALUES ('huge', 1e15, 1e15, 1000000, 1e15), ('vast', 9e18, 1, 1, 9e18);
                    """,
                    deadline: .seconds(10)
                )
                for profile in ["huge", "vast"] {
                    let error = await Self.enqueue(
                        connection,
                        #"[{"profile":"\#(profile)","budget":"dear","spec":{"argv":["a"]}}]"#
                    )
                    #expect(error?.sqlState == "SB004")
                }
            }
        }
    }

    /// What people set budgets to; all of it must be refused.
    static let settings = [
        "null", "1", "[]", #"{"unheard":1}"#, #"{"runs_cap":-1}"#, #"{"runs_cap":1.5}"#,
        #"{"runs_cap":"1"}"#, #"{"runs_cap":1e30}"#, #"{"runs_cap":1000000000000000000}"#,
        #"{"runs_cap":[]}"#, #"{"price_run":null}"#, #"{"price_run":1000000000001}"#,
        #"{"price_cpu_s":-1}"#, #"{"period":null}"#, #"{"period":"week"}"#, #"{"period":["day"]}"#,
        #"{"period":1}"#, #"{"on_exhausted":null}"#, #"{"on_exhausted":"explode"}"#,
        #"{"on_exhausted":{}}"#, #"{"paused":null}"#, #"{"paused":"yes"}"#, #"{"paused":1}"#,
        #"{"budget":"x"}"#, #"{"budget_id":1}"#, #"{"runs_used":0}"#,
    ]

    @Test("settings of a budget are refused with a state of ours")
    func budgetSettings() async throws {
        try await TaskDatabase.with { database in
            try await database.withConnection { connection in
                for settings in Self.settings {
                    let error = await failure { () throws(PostgresError) in
                        try await connection.rows(
                            "SELECT sandboxd.set_budget('b', $1::jsonb)",
                            settings
                        )
                    }
                    #expect(error?.sqlState == "SB002", "\(settings)")
                }
                let names = ["", " ", "a b", ".a", "-", "é", "a\n", nil, "'; --"]
                for name in names + [String(repeating: "a", count: 65)] {
                    let error = await failure { () throws(PostgresError) in
                        try await connection.rows("SELECT sandboxd.set_budget($1, '{}')", name)
                    }
                    #expect(error?.sqlState == "SB002", "\(name ?? "NULL")")
                }
            }
        }
    }
}
