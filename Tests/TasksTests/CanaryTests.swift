// SPDX-License-Identifier: Apache-2.0
import Foundation
import Postgres
import Tasks
import Testing

@testable import Kernel

@Suite("Work that moves between the host and sandboxes", .database, .timeLimit(.minutes(10)))
struct CanaryTests {
    /// The file that all programs are held against.
    private struct Vectors: Decodable {
        struct Vector: Decodable {
            let id: String
            let bucket: Int
        }
        let vectors: [Vector]
    }

    private static let perPool = """
        SELECT string_agg(pool || ' ' || n, ', ' ORDER BY pool) AS value FROM (
            SELECT l.pool, count(*) AS n FROM sandboxd.task_ready r
            JOIN sandboxd.lanes l ON l.lane = r.lane JOIN sandboxd.tasks t USING (task_id)
            WHERE t.lane = r.lane GROUP BY l.pool) AS p
        """

    @Test("the database counts buckets as every other program does")
    func vectors() async throws {
        let path = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "../canary-vectors.json")
        let vectors = try JSONDecoder().decode(Vectors.self, from: Data(contentsOf: path)).vectors
        try await TaskDatabase.with { database in
            try await database.withConnection { connection in
                for vector in vectors {
                    let bucket = try await connection.value(
                        "SELECT sandboxd.canary_bucket($1) AS value",
                        vector.id
                    )
                    #expect(bucket == "\(vector.bucket)", "\(vector.id)")
                }
                let share = try await connection.value(
                    """
                    SELECT count(*) FILTER (WHERE sandboxd.canary_bucket('task-' || n) < 1000) AS value
                    FROM generate_series(0, 99999) AS n
                    """
                )
                #expect(abs((Double(share ?? "") ?? 0) / 1000 - 10) <= 0.5)
            }
        }
    }

    /// Sets a canary, and moves all that waits.
    private static func set(_ connection: Connection, _ settings: String) async throws {
        _ = try await connection.rows("SELECT sandboxd.set_canary('code', $1::jsonb)", settings)
        while try await connection.rows("SELECT is_left FROM sandboxd.rebucket()").only()
            .bool("is_left")
        {}
    }

    @Test("what waits changes sides with the percentage, in its order, and comes back at 0")
    func moving() async throws {
        try await TaskDatabase.with { database in
            try await database.withConnection { connection in
                try await connection.script(
                    """
                    SELECT sandboxd.enqueue_many((SELECT jsonb_agg(jsonb_build_object(
                        'profile', 'code', 'spec', '{"argv":["true"]}'::jsonb, 'key', 'k' || n))
                        FROM generate_series(1, 500) AS n));
                    SELECT sandboxd.enqueue('code', '{"argv":["true"]}', p_pool => 'sandbox');
                    SELECT sandboxd.enqueue('code', '{"argv":["true"]}', p_key => 'later',
                        p_run_at => now() + interval '1 hour');
                    SELECT sandboxd.enqueue('big', '{"argv":["true"]}');
                    """,
                    deadline: .seconds(50)
                )
                #expect(try await connection.value(Self.perPool) == "sandbox 502")
                let order = try await connection.value(
                    "SELECT string_agg(task_id::text, ' ' ORDER BY seq) AS value FROM sandboxd.task_ready"
                )
                try await Self.set(connection, #"{"percent": 0}"#)
                // The pinned one and the other profile's stay.
                #expect(try await connection.value(Self.perPool) == "host 500, sandbox 2")
                try await Self.set(connection, #"{"percent": 30}"#)
                let wanted = try await connection.value(
                    """
                    SELECT count(*) AS value FROM generate_series(1, 500) AS n
                    WHERE sandboxd.canary_bucket('k' || n) < 3000
                    """
                )
                let inside = try #require(Int(wanted ?? ""))
                #expect((100...200).contains(inside))
                #expect(
                    try await connection.value(Self.perPool)
                        == "host \(500 - inside), sandbox \(2 + inside)"
                )
                try await Self.set(connection, #"{"percent": "100"}"#)
                #expect(try await connection.value(Self.perPool) == "sandbox 502")
                let after = try await connection.value(
                    "SELECT string_agg(task_id::text, ' ' ORDER BY seq) AS value FROM sandboxd.task_ready"
                )
                #expect(after == order)
                // What is delayed is placed when its time comes.
                try await Self.set(connection, #"{"percent": 0}"#)
                try await connection.script(
                    """
                    UPDATE sandboxd.task_delayed SET run_at = now() - interval '1 second';
                    SELECT sandboxd.promote();
                    """,
                    deadline: .seconds(20)
                )
                #expect(try await connection.value(Self.perPool) == "host 501, sandbox 2")
                try await Invariants.expectNone(connection)
            }
        }
    }

    @Test("new tasks, failed ones and those brought back go where they belong by then")
    func comingBack() async throws {
        try await TaskDatabase.with { database in
            try await database.withConnection { connection in
                try await connection.script(
                    """
                    SELECT sandboxd.enqueue('code', '{"argv":["true"]}');
                    SELECT sandboxd.enqueue('code', '{"argv":["false"]}');
                    """,
                    deadline: .seconds(20)
                )
                let worker = try await connection.value(
                    "SELECT sandboxd.register_worker('n', 60) AS value"
                )
                _ = try await connection.rows(
                    "SELECT * FROM sandboxd.lease($1::int, 2)",
                    worker
                )
                _ = try await connection.rows(
                    "SELECT sandboxd.set_canary('code', '{\"percent\":0}')"
                )
                // One cannot be run there, one fails for good: it is brought back by hand.
                _ = try await connection.rows(
                    """
                    SELECT sandboxd.complete('{1,2}', '{1,1}', '{engine_error,exit}', '{null,1}', '{0,0}',
                        '{0,0}', '{0,0}', '{0,0}')
                    """
                )
                _ = try await connection.rows("SELECT sandboxd.retry(2)")
                _ = try await connection.rows(
                    "SELECT sandboxd.enqueue('code', '{\"argv\":[\"x\"]}')"
                )
                let pools = try await connection.value(
                    "SELECT string_agg(pool, ' ' ORDER BY id) AS value FROM sandboxd.task_queue"
                )
                #expect(pools == "host host host")
                let host = try await connection.value(
                    "SELECT sandboxd.register_worker('old', 60, 'host') AS value"
                )
                let leased = try await connection.rows(
                    "SELECT task_id FROM sandboxd.lease($1::int, 9) ORDER BY task_id",
                    host
                )
                #expect(leased.count == 2)
            }
        }
    }

    @Test("a canary above its bound is 0 by itself, says why, and stays so until it is set")
    func bound() async throws {
        try await TaskDatabase.with { database in
            try await database.withQueue { queue in
                _ = try await queue.setCanary(
                    "code",
                    #"{"percent": 50, "bound_percent": 20, "bound_runs": 10}"#
                )
                try await database.run(Self.setLongAgo)
                // 2 of 10 may fail.
                try await queue.count([.init("code", "exit", 2), .init("code", "ok", 6)])
                #expect(try await queue.checkCanaries().isEmpty)
                try await queue.count([.init("code", "oom", 1)])
                let trips = try await queue.checkCanaries()
                #expect(trips.map(\.profile) == ["code"])
                #expect(trips.first?.why.contains("3 of the last 9 runs") == true)
                #expect(trips.first?.why.contains("exit 2, oom 1") == true)
                #expect(try await queue.checkCanaries().isEmpty)
                #expect(try await queue.trippedCanaries().count == 1)
                #expect(try await queue.canary("code")?.contains(#""percent" : "0.00""#) == true)
                // What failed before it was set again does not count.
                _ = try await queue.setCanary("code", #"{"percent": 50}"#)
                #expect(try await queue.checkCanaries().isEmpty)
                #expect(try await queue.trippedCanaries().isEmpty)
                try await database.run(Self.setLongAgo)
                // Old failures are out of the window of ten.
                try await queue.count([.init("code", "exit", 2)])
                try await queue.count([.init("code", "ok", 9)])
                try await queue.count([.init("code", "exit", 1)])
                #expect(try await queue.checkCanaries().isEmpty)
                // A profile without a bound, and one without a canary, are left alone.
                _ = try await queue.setCanary("big", #"{"percent": 50, "bound_percent": null}"#)
                try await queue.count([.init("big", "exit", 50), .init("none", "exit", 50)])
                #expect(try await queue.checkCanaries().isEmpty)
            }
        }
    }

    @Test("the last runs are the last to end, of those that began since the canary was set")
    func slowFailures() async throws {
        try await TaskDatabase.with { database in
            try await database.withQueue { queue in
                _ = try await queue.setCanary(
                    "code",
                    #"{"percent": 50, "bound_percent": 20, "bound_runs": 10}"#
                )
                try await database.run(Self.setLongAgo)
                // Told at once, and some of them from before it was set.
                try await queue.count([
                    .init("code", "wall", 3, age: 660_000), .init("code", "ok", 90),
                    .init("code", "wall", 2, age: 120_000),
                ])
                #expect(try await queue.checkCanaries().isEmpty)
                // As many as the bound looks at.
                try await queue.count([.init("code", "ok", 10)])
                // They began long before the ones that ended well.
                try await queue.count([.init("code", "wall", 3, age: 120_000)])
                let why = try #require(try await queue.checkCanaries().first?.why)
                #expect(why.contains("3 of the last 13 runs"), "\(why)")
                #expect(why.contains("(wall 3)"), "\(why)")
                // The report tells of all that ended.
                let report = try #require(try await queue.canaryReport("code", hours: 1))
                #expect(report.contains(#""runs" : 108, "failed" : 8"#), "\(report)")
            }
        }
    }

    /// What is told right after is surely of runs that began since.
    private static let setLongAgo =
        "UPDATE sandboxd.canaries SET set_at = now() - interval '10 minutes'"

    private static func failing(_ count: Int) -> String {
        """
        INSERT INTO sandboxd.canary_counts (profile, runs, failed, verdicts)
        SELECT 'code', 1, 1, '{"exit": 1}' FROM generate_series(1, \(count)) AS n
        """
    }

    /// A daemon that is seldom asked writes down one run at a time.
    @Test("a bound on thousands of runs is kept, however few a count has")
    func longBound() async throws {
        try await TaskDatabase.with { database in
            try await database.withQueue { queue in
                _ = try await queue.setCanary(
                    "code",
                    #"{"percent": 50, "bound_percent": 20, "bound_runs": 10000}"#
                )
                // Of ten thousand, 2000 may fail.
                try await database.run(Self.failing(2000))
                #expect(try await queue.checkCanaries().isEmpty)
                try await database.run(Self.failing(1))
                let trips = try await queue.checkCanaries()
                #expect(trips.first?.why.contains("2001 of the last 2001 runs") == true)
                #expect(trips.first?.why.contains("exit 2001") == true)
                // The report is of all, as far back as it was asked.
                let report = try #require(try await queue.canaryReport("code", hours: 1))
                #expect(report.contains(#""runs" : 2001, "failed" : 2001"#), "\(report)")
            }
        }
    }

    @Test("of many counts, a bound reads as many as have its runs")
    func window() async throws {
        try await TaskDatabase.with { database in
            try await database.run(
                """
                INSERT INTO sandboxd.canary_counts (profile, at, runs, failed, verdicts)
                SELECT 'code', now() - n * interval '1 second', 10, n / 3000, '{}'
                FROM generate_series(1, 5000) AS n
                """
            )
            try await database.withConnection { connection in
                for (runs, wanted) in [("25", "30 0"), ("10", "10 0"), ("NULL", "50000 2001")] {
                    let seen = try await connection.value(
                        """
                        SELECT runs || ' ' || failed AS value
                        FROM sandboxd.canary_failures('code', '-infinity', \(runs))
                        """
                    )
                    #expect(seen == wanted)
                }
            }
        }
    }

    @Test("disagreements count as failures do")
    func disagreements() async throws {
        try await TaskDatabase.with { database in
            try await database.withQueue { queue in
                _ = try await queue.setCanary("code", #"{"percent": 5, "bound_runs": 10}"#)
                try await database.run(Self.setLongAgo)
                for number in 0..<3 {
                    try await queue.note(
                        comparison: """
                            {"profile": "code", "counted_place": "on the host",
                            "shadow_place": "in the sandbox", "counted": {"wall_ms": 10},
                            "shadow": {"wall_ms": 15}, "task_key": "t\(number)",
                            "differences": ["exit: 0 on the host, 1 in the sandbox"],
                            "missed": {"code": 2, "nosuch": 5}}
                            """
                    )
                }
                let trip = try #require(try await queue.checkCanaries().first)
                #expect(trip.why.contains("3 of the last 3 comparisons differ"))
                let report = try #require(try await queue.canaryReport("code", hours: 1))
                #expect(report.contains(#""compared" : 3, "agreed" : 0, "wall_ratio" : 1.500"#))
                #expect(report.contains(#""missed" : 6"#))
            }
        }
    }

    @Test(
        "a task of the host is run in a sandbox beside it, at another budget's expense, and compared"
    )
    func shadows() async throws {
        try await TaskDatabase.with { database in
            try await database.withConnection { connection in
                try await connection.script(
                    """
                    SELECT sandboxd.set_canary('code', '{"percent": 0, "shadow": true}');
                    SELECT sandboxd.enqueue('code', '{"argv":["a"]}', p_key => 'one');
                    SELECT sandboxd.enqueue('code', '{"argv":["b"]}', p_key => 'two');
                    SELECT sandboxd.enqueue('code', '{"argv":["c"]}', p_pool => 'host');
                    SELECT sandboxd.enqueue('code', '{"argv":["a"]}', p_key => 'one');
                    """,
                    deadline: .seconds(20)
                )
                let queued = try await connection.value(
                    """
                    SELECT string_agg(pool || ' ' || budget, ', ' ORDER BY pool, id) AS value
                    FROM sandboxd.task_queue
                    """
                )
                #expect(
                    queued
                        == "host default, host default, host default, sandbox shadow, sandbox shadow"
                )
                try await connection.script(
                    """
                    SELECT sandboxd.register_worker('h', 60, 'host');
                    SELECT sandboxd.register_worker('s', 60);
                    SELECT * FROM sandboxd.lease(1, 9);
                    SELECT * FROM sandboxd.lease(2, 9);
                    SELECT sandboxd.complete(array_agg(l.task_id ORDER BY l.task_id),
                        array_agg(l.fence), array_agg('ok'::text), array_agg(0), array_agg(1), array_agg(1),
                        array_agg(10), array_agg(0), array_agg(json_build_object('stdout_sha256', CASE
                            WHEN t.spec ->> 'argv' = '["b"]' THEN l.worker_id::text ELSE 'same' END,
                            'stdout_bytes', 4, 'artifacts', '[]'::json)::text ORDER BY l.task_id))
                    FROM sandboxd.task_leases l JOIN sandboxd.tasks t USING (task_id);
                    """,
                    deadline: .seconds(20)
                )
                let compared = try await connection.value(
                    "SELECT compared AS value FROM sandboxd.compare_shadows()"
                )
                #expect(compared == "2")
                let lines = try await connection.value(
                    """
                    SELECT string_agg(task_key || ': ' || array_to_string(differences, '|'), '; '
                        ORDER BY task_key) AS value FROM sandboxd.comparisons
                    """
                )
                #expect(
                    lines
                        == "one: ; two: stdout: 4 bytes on the host, 4 bytes in the sandbox, not the same"
                )
                let left = try await connection.value(
                    "SELECT count(*) AS value FROM sandboxd.task_shadows"
                )
                #expect(left == "0")
            }
        }
    }

    @Test(
        "a setting that is none is refused by name",
        arguments: [
            #"{"percent": 101}"#, #"{"percent": -1}"#, #"{"percent": "ten"}"#,
            #"{"percent": 1.234}"#, #"{"percent": null}"#, #"{"percent": [1]}"#,
            #"{"bound_percent": "x"}"#, #"{"bound_runs": 0}"#, #"{"bound_runs": 1.5}"#,
            #"{"shadow": "yes"}"#, #"{"per_cent": 5}"#, "[]", "null",
        ]
    )
    func refused(_ settings: String) async throws {
        try await TaskDatabase.with { database in
            try await database.withQueue { queue in
                await #expect(throws: TaskError.self) {
                    try await queue.setCanary("code", settings)
                }
                await #expect(throws: TaskError.self) {
                    try await queue.setCanary("nosuch", #"{"percent": 5}"#)
                }
            }
        }
    }
}

extension TaskQueue.Endings {
    /// Runs that have ended, and began `age` milliseconds ago.
    init(_ profile: String, _ verdict: String, _ runs: Int, age: Double = 0) {
        let now = Instant.now.nanoseconds
        let began = Instant(nanoseconds: now - UInt64(age * 1_000_000))
        self.init(profile: profile, verdict: verdict, runs: runs, began: began)
    }
}
