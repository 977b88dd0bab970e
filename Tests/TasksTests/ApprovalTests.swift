// SPDX-License-Identifier: Apache-2.0
import Postgres
import Tasks
import Testing

@Suite("Tasks that wait for a person's word", .database, .timeLimit(.minutes(10)))
struct ApprovalTests {
    private static let states = """
        SELECT string_agg(status, ' ' ORDER BY id) AS value FROM sandboxd.task_queue
        """

    /// Runs `body` with a database in which profile 'code' wants an approval for everything.
    private static func with(
        rule: String = "required",
        _ body: (Connection) async throws -> Void
    ) async throws {
        try await TaskDatabase.with { database in
            try await database.run(
                "UPDATE sandboxd.profiles SET approval = '\(rule)' WHERE profile = 'code'"
            )
            try await database.withConnection { try await body($0) }
        }
    }

    private static func enqueue(_ connection: Connection, _ more: String = "") async throws {
        _ = try await connection.rows(
            "SELECT sandboxd.enqueue('code', '{\"argv\":[\"true\"]\(more)}')"
        )
    }

    private static func digest(_ connection: Connection, _ task: Int = 1) async throws -> String {
        let value = try await connection.value(
            """
            SELECT encode(digest, 'hex') AS value FROM sandboxd.approvals
            WHERE task_id = \(task) ORDER BY approval_id DESC LIMIT 1
            """
        )
        return try #require(value)
    }

    private static func decide(
        _ connection: Connection,
        _ decision: String,
        _ digest: String,
        by person: String = "ann"
    ) async throws(PostgresError) -> String? {
        try await connection.value(
            "SELECT sandboxd.decide(1, $1, $2, $3, 'because') AS value",
            decision,
            digest,
            person
        )
    }

    @Test("an approved task runs, and who, when and why is kept")
    func approved() async throws {
        try await Self.with { connection in
            try await Self.enqueue(connection)
            #expect(try await connection.value(Self.states) == "awaiting_approval")
            let worker = try await connection.value(
                "SELECT sandboxd.register_worker('n', 60) AS value"
            )
            let before = try await connection.rows(
                "SELECT task_id FROM sandboxd.lease($1::int, 9)",
                worker
            )
            #expect(before.count == 0)
            let digest = try await Self.digest(connection)
            #expect(try await Self.decide(connection, "approved", digest) == "ready")
            let kept = try await connection.value(
                "SELECT concat_ws(' ', decision, decided_by, why) AS value FROM sandboxd.approvals"
            )
            #expect(kept == "approved ann because")
            let after = try await connection.rows(
                "SELECT task_id FROM sandboxd.lease($1::int, 9)",
                worker
            )
            #expect(after.count == 1)
        }
    }

    @Test("a decision is made once, for what was shown, by somebody, in time, about what waits")
    func refused() async throws {
        try await Self.with { connection in
            try await Self.enqueue(connection)
            let digest = try await Self.digest(connection)
            let other = String(repeating: "0", count: 64)
            let shown = await failure { () throws(PostgresError) in
                try await Self.decide(connection, "approved", other)
            }
            #expect("\(try #require(shown))".contains("is not what was shown"))
            for nobody in ["", "a\nb", String(repeating: "x", count: 200)] {
                let error = await failure { () throws(PostgresError) in
                    try await Self.decide(connection, "approved", digest, by: nobody)
                }
                #expect("\(try #require(error))".contains("who decides is not said"))
            }
            // Somebody has changed the task meanwhile, by hand.
            _ = try await connection.rows(
                "UPDATE sandboxd.tasks SET spec = '{\"argv\":[\"other\"]}' WHERE task_id = 1"
            )
            let changed = await failure { () throws(PostgresError) in
                try await Self.decide(connection, "approved", digest)
            }
            #expect("\(try #require(changed))".contains("is not what was shown"))
            _ = try await connection.rows(
                "UPDATE sandboxd.tasks SET spec = '{\"argv\":[\"true\"]}' WHERE task_id = 1"
            )
            #expect(try await Self.decide(connection, "denied", digest) == "rejected")
            for decision in ["approved", "denied"] {
                let twice = await failure { () throws(PostgresError) in
                    try await Self.decide(connection, decision, digest)
                }
                #expect("\(try #require(twice))".contains("was denied already, by ann"))
            }
            #expect(try await connection.value(Self.states) == "rejected")
            let unknown = try await connection.value(
                "SELECT sandboxd.decide(99, 'approved', '', 'ann', NULL) AS value"
            )
            #expect(unknown == nil)
        }
    }

    @Test("what nobody decides about in time is over, and cannot be approved any more")
    func expired() async throws {
        try await Self.with { connection in
            try await Self.enqueue(connection)
            let digest = try await Self.digest(connection)
            _ = try await connection.rows(
                "UPDATE sandboxd.approvals SET expires_at = now() - interval '1 second'"
            )
            let late = await failure { () throws(PostgresError) in
                try await Self.decide(connection, "approved", digest)
            }
            #expect("\(try #require(late))".contains("was over at"))
            #expect(
                try await connection.value("SELECT sandboxd.expire_approvals() AS value") == "1"
            )
            #expect(try await connection.value(Self.states) == "expired")
            let after = await failure { () throws(PostgresError) in
                try await Self.decide(connection, "approved", digest)
            }
            #expect("\(try #require(after))".contains("was expired already, by nobody"))
        }
    }

    @Test("a denied task that is brought back is asked about again; an approved one is not")
    func broughtBack() async throws {
        try await Self.with { connection in
            try await Self.enqueue(connection)
            _ = try await Self.decide(connection, "denied", try await Self.digest(connection))
            #expect(
                try await connection.value("SELECT sandboxd.retry(1) AS value")
                    == "awaiting_approval"
            )
            _ = try await Self.decide(connection, "approved", try await Self.digest(connection))
            #expect(try await connection.value("SELECT sandboxd.cancel(1) AS value") == "cancelled")
            #expect(try await connection.value("SELECT sandboxd.retry(1) AS value") == "ready")
        }
    }

    @Test("one that waits for a word has no shadow that would run without")
    func shadow() async throws {
        try await Self.with { connection in
            _ = try await connection.rows(
                "SELECT sandboxd.set_canary('code', '{\"percent\": 0, \"shadow\": true}')"
            )
            try await Self.enqueue(connection)
            #expect(try await connection.value(Self.states) == "awaiting_approval")
        }
    }

    @Test(
        "a shadow that would need a word by its own budget is none",
        arguments: [
            (#"{"approval": "required"}"#, ""),
            (#"{"approval": "egress"}"#, #","allow":["a.b:1"]"#),
            (#"{"price_cpu_s": 1000, "approval_above_nanos": 900}"#, ""),
        ]
    )
    func shadowBudget(settings: String, more: String) async throws {
        try await Self.with(rule: "never") { connection in
            _ = try await connection.rows(
                "SELECT sandboxd.set_canary('code', '{\"percent\": 0, \"shadow\": true}')"
            )
            try await Self.enqueue(connection, more)
            #expect(try await connection.value(Self.states) == "ready ready")
            _ = try await connection.rows(
                "SELECT sandboxd.set_budget('shadow', $1::jsonb)",
                settings
            )
            try await Self.enqueue(connection, more)
            #expect(try await connection.value(Self.states) == "ready ready ready")
        }
    }

    @Test("one that waits for a word can be cancelled")
    func cancelled() async throws {
        try await Self.with { connection in
            try await Self.enqueue(connection)
            #expect(try await connection.value("SELECT sandboxd.cancel(1) AS value") == "cancelled")
            let held = try await connection.value(
                "SELECT count(*) AS value FROM sandboxd.task_held"
            )
            #expect(held == "0")
            let digest = try await Self.digest(connection)
            let error = await failure { () throws(PostgresError) in
                try await Self.decide(connection, "approved", digest)
            }
            #expect("\(try #require(error))".contains("was cancelled already, by nobody"))
        }
    }

    @Test("one that is cancelled and brought back has all the time of its new request")
    func askedAgain() async throws {
        try await Self.with { connection in
            try await Self.enqueue(connection)
            _ = try await connection.rows("SELECT sandboxd.cancel(1)")
            #expect(
                try await connection.value("SELECT sandboxd.retry(1) AS value")
                    == "awaiting_approval"
            )
            let requests = try await connection.value(
                """
                SELECT string_agg(coalesce(decision, 'open'), ' ' ORDER BY approval_id) AS value
                FROM sandboxd.approvals
                """
            )
            #expect(requests == "cancelled open")
            // The time of the first is over; even if nobody had decided it, the second counts.
            for decision in ["'cancelled'", "NULL"] {
                _ = try await connection.rows(
                    """
                    UPDATE sandboxd.approvals SET expires_at = now() - interval '1 second',
                        decision = \(decision) WHERE approval_id = 1
                    """
                )
                #expect(
                    try await connection.value("SELECT sandboxd.expire_approvals() AS value") == "0"
                )
                #expect(try await connection.value(Self.states) == "awaiting_approval")
            }
            let digest = try await Self.digest(connection)
            #expect(try await Self.decide(connection, "approved", digest) == "ready")
        }
    }

    @Test("one that is overdue ends, however many wait before it, and nothing else is touched")
    func overdue() async throws {
        try await Self.with { connection in
            try await connection.script(
                """
                SELECT count(*) FROM sandboxd.enqueue_many((SELECT jsonb_agg(
                    '{"profile":"code","spec":{"argv":["true"]}}'::jsonb)
                    FROM generate_series(1, 1001)));
                SELECT sandboxd.expire_approvals();
                """,
                deadline: .seconds(50)
            )
            // Who locks a row leaves his number in it.
            let locked = """
                SELECT (SELECT count(*) FROM sandboxd.task_held WHERE xmax <> 0)
                    + (SELECT count(*) FROM sandboxd.approvals WHERE xmax <> 0) AS value
                """
            #expect(try await connection.value(locked) == "0")
            _ = try await connection.rows(
                """
                UPDATE sandboxd.approvals SET expires_at = now() - interval '1 second'
                WHERE task_id = 1001
                """
            )
            #expect(
                try await connection.value("SELECT sandboxd.expire_approvals() AS value") == "1"
            )
            let ended = try await connection.value(
                """
                SELECT string_agg(id || ' ' || status, ', ') AS value FROM sandboxd.task_queue
                WHERE status <> 'awaiting_approval'
                """
            )
            #expect(ended == "1001 expired")
        }
    }

    @Test("who decides about one just now is not waited for by who ends those that are overdue")
    func decidedMeanwhile() async throws {
        try await TaskDatabase.with { database in
            try await database.run(
                """
                UPDATE sandboxd.profiles SET approval = 'required' WHERE profile = 'code';
                SELECT sandboxd.enqueue('code', '{"argv":["true"]}') FROM generate_series(1, 2);
                UPDATE sandboxd.approvals SET expires_at = now() - interval '1 second';
                """
            )
            try await database.withConnection { connection in
                let expire = "SELECT sandboxd.expire_approvals() AS value"
                _ = try await connection.rows("SET statement_timeout = '5s'")
                let row = "FROM sandboxd.tasks WHERE task_id = 1 FOR NO KEY UPDATE"
                try await database.holding(row) {
                    let others = try await connection.value(expire)
                    #expect(others == "1")
                }
                let rest = try await connection.value(expire)
                #expect(rest == "1")
                #expect(try await connection.value(Self.states) == "expired expired")
            }
        }
    }

    @Test("a rule may be about what is asked to be reached, or about the price, or be the budget's")
    func rules() async throws {
        try await Self.with(rule: "egress") { connection in
            try await Self.enqueue(connection)
            try await Self.enqueue(connection, ",\"allow\":[]")
            try await Self.enqueue(connection, ",\"allow\":[\"example.com:443\"]")
            #expect(try await connection.value(Self.states) == "ready ready awaiting_approval")
            // A run of a second costs a thousand.
            _ = try await connection.rows(
                """
                SELECT sandboxd.set_budget('default', '{"price_cpu_s": 1000,
                    "approval_above_nanos": 900}')
                """
            )
            try await Self.enqueue(connection)
            try await Self.enqueue(connection, ",\"limits\":{\"cpu_time_ms\":500}")
            #expect(
                try await connection.value(Self.states)
                    == "ready ready awaiting_approval awaiting_approval ready"
            )
            let reasons = try await connection.value(
                """
                SELECT string_agg(needed_for, '; ' ORDER BY approval_id) AS value
                FROM sandboxd.approvals
                """
            )
            #expect(
                reasons == """
                    profile 'code' wants one for what is asked to be reached; it may cost 1000 nanos, \
                    and its budget wants one above 900
                    """
            )
            for bad in [
                #"{"approval": "sometimes"}"#, #"{"approval_above_nanos": -1}"#,
                #"{"approval": null}"#, #"{"approval_above_nanos": "x"}"#,
            ] {
                let error = await failure { () throws(PostgresError) in
                    try await connection.rows(
                        "SELECT sandboxd.set_budget('default', $1::jsonb)",
                        bad
                    )
                }
                #expect("\(try #require(error))".contains("approval"), "\(bad)")
            }
        }
    }

    @Test("a direct run that needs one is refused, and says what to do")
    func direct() async throws {
        try await Self.with { connection in
            let worker = try await connection.value(
                "SELECT sandboxd.register_worker('n', 60) AS value"
            )
            let error = await failure { () throws(PostgresError) in
                try await connection.rows(
                    """
                    SELECT * FROM sandboxd.begin_run($1::int, gen_random_uuid(), 'code',
                        '{"argv":["true"]}', 'default', NULL, 1000, 2000, 256, 0)
                    """,
                    worker
                )
            }
            #expect("\(try #require(error))".contains("needs an approval"))
        }
    }
}
