// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// What becomes of tasks when what runs them, or what keeps them, goes away.
@Suite("Nodes and databases that go away", .ownDaemon, .database, .beside)
struct LostNodeTests {
    @Test(
        "a killed daemon's attempt is charged by what its cgroup counted, and the task runs again"
    )
    func killed() throws {
        let database = try TestDatabase()
        let options = ["--database", database.string, "--lease-time", String(5 * Host.slowness)]
        let first = try TestDaemon(options)
        let id = try first.api.submit(
            ["sh", "-c", "python3 -c 'while True: pass' & sleep 60"],
            ["max_attempts": .number(2)]
        )
        _ = try first.api.task(id, is: ["running"])
        // What it burns is its evidence.
        let burnt = Host.waits(upTo: .seconds(20)) {
            (try? database.number("SELECT max(beat_cpu_ms) FROM sandboxd.task_leases")) ?? 0 > 100
        }
        #expect(burnt)
        first.kill9()
        let second = try TestDaemon(options, directory: first.directory)
        let attempt = try Self.firstAttempt(of: id, second.api)
        #expect(attempt["verdict"]?.text == "lease_lost")
        #expect(attempt["charged_from"]?.text == "cgroup")
        #expect(attempt["report"]?["receipt"]?["clean"]?.bool == true)
        #expect((attempt["charged"]?["cpu_ms"]?.int ?? 0) > 100)
        _ = try second.api.task(id, is: ["running"])
        try second.api.send("DELETE", "/v1/tasks/\(id)")
        #expect(try second.api.task(id, is: endedStates)["attempts"]?.elements.count == 2)
        try Self.expectBalanced(database)
        // Struck off after the settlement.
        let isStruckOff = Host.waits(upTo: .seconds(5)) {
            ProcessTable.names(second.state + "/attempts").isEmpty
        }
        #expect(isStruckOff)
        second.stop()
    }

    @Test("a frozen daemon's task is another's; woken, it changes nothing and its sandbox is gone")
    func frozen() throws {
        let database = try TestDatabase()
        let options = ["--database", database.string, "--lease-time", String(5 * Host.slowness)]
        let frozen = try TestDaemon(options)
        let mark = Sandboxes.mark()
        let id = try frozen.api.submit(
            ["sleep", "60"],
            ["max_attempts": .number(5), "env": .object(["M": .string(mark)])]
        )
        #expect(
            Host.waits(upTo: .seconds(20)) {
                !Sandboxes.processes(marked: mark).isEmpty
            }
        )
        kill(frozen.pid, SIGSTOP)
        // Frozen, the daemon can end nothing; init keeps to the lease by itself.
        #expect(
            Host.waits(upTo: .seconds(7)) {
                Sandboxes.processes(marked: mark).isEmpty
            }
        )
        let other = try TestDaemon(options)
        _ = try Self.firstAttempt(of: id, other.api)
        _ = try other.api.task(id, is: ["running"])
        kill(frozen.pid, SIGCONT)
        // It ends its own, and only its own.
        #expect(Host.waits(upTo: .seconds(10)) { frozen.isAtRest })
        #expect(try other.api.state(id) == "running")
        try other.api.send("DELETE", "/v1/tasks/\(id)")
        let task = try other.api.task(id, is: endedStates)
        #expect(
            task["attempts"]?.elements.compactMap { $0["verdict"]?.text } == [
                "lease_lost", "cancelled",
            ]
        )
        try Self.expectBalanced(database)
        frozen.stop()
        other.stop()
    }

    @Test("when every connection is cut, what runs goes on, and is settled when there is one again")
    func cut() throws {
        let database = try TestDatabase()
        let daemon = try TestDaemon(["--database", database.string])
        let id = try daemon.api.submit(["sleep", "1"])
        _ = try daemon.api.task(id, is: ["running"])
        for _ in 0..<5 {
            try database.query(
                """
                SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid()
                """
            )
            usleep(200_000)
        }
        let ended = Host.waits(upTo: .seconds(20)) {
            (try? database.number("SELECT state FROM sandboxd.tasks WHERE task_id = \(id)")) == 1
        }
        #expect(ended)
        #expect(try database.number("SELECT count(*) FROM sandboxd.task_attempts") == 1)
        try Self.expectBalanced(database)
        daemon.stop()
    }

    @Test("a lease whose answer was lost is given up, and its task runs")
    func unheard() throws {
        let database = try TestDatabase()
        let daemon = try TestDaemon(["--database", database.string])
        _ = try daemon.api.task(try daemon.api.submit(["true"]), is: ["succeeded"])
        // As if the daemon's own lease had been answered into a connection that was gone.
        try daemon.api.send("POST", "/v1/drain", .object(["draining": .bool(true)]))
        let id = try daemon.api.submit(["true"])
        try database.query(
            """
            UPDATE sandboxd.workers SET draining = false;
            SELECT task_id FROM sandboxd.lease((SELECT max(worker_id) FROM sandboxd.workers), 1);
            """
        )
        let task = try daemon.api.task(id, is: ["succeeded"], within: .seconds(40))
        let verdicts = task["attempts"]?.elements.compactMap { $0["verdict"]?.text }
        // One transaction: the daemon cannot come in between.
        #expect(verdicts == ["engine_error", "ok"])
        try Self.expectBalanced(database)
        daemon.stop()
    }

    @Test("a daemon that is told to stop gives its tasks back, and their attempts do not count")
    func stopped() throws {
        let database = try TestDatabase()
        let options = ["--database", database.string]
        let daemon = try TestDaemon(options)
        let id = try daemon.api.submit(["sleep", "60"])
        _ = try daemon.api.task(id, is: ["running"])
        daemon.stop()
        #expect(
            try database.query(
                "SELECT status, attempts FROM sandboxd.task_queue WHERE id = \(id)"
            ) == ["ready|0"]
        )
        try Self.expectBalanced(database)
        let next = try TestDaemon(options, directory: daemon.directory)
        _ = try next.api.task(id, is: ["running"])
        next.stop()
    }

    @Test("a lease that is answered while its daemon stops is given back")
    func leasedWhileStopping() throws {
        let database = try TestDatabase()
        let daemon = try TestDaemon(["--database", database.string])
        _ = try daemon.api.task(try daemon.api.submit(["true"]), is: ["succeeded"])
        // A lease waits for this, and is answered about when the daemon has nothing else to wait for.
        let holder = try Program([
            "psql", "-XqAt", "-d", database.string, "-c",
            "BEGIN; LOCK TABLE sandboxd.task_leases; SELECT pg_sleep(60)",
        ])
        func has(_ state: String) -> Bool {
            let sql = """
                SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                    AND pid <> pg_backend_pid() AND \(state)
                """
            return ((try? database.number(sql)) ?? 0) > 0
        }
        let isHeld = Host.waits(upTo: .seconds(10)) { has("wait_event = 'PgSleep'") }
        try #require(isHeld)
        let id = try daemon.api.submit(["sleep", "60"])
        let isAsked = Host.waits(upTo: .seconds(10)) {
            has("wait_event_type = 'Lock' AND query LIKE '%sandboxd.lease(%'")
        }
        try #require(isAsked)
        kill(daemon.pid, SIGTERM)
        // Long enough for all else that a stop does.
        usleep(1_000_000)
        try database.query(
            """
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event = 'PgSleep'
            """
        )
        daemon.stop()
        _ = holder.ending()
        #expect(try database.number("SELECT count(*) FROM sandboxd.task_leases") == 0)
        #expect(
            try database.query(
                "SELECT status, attempts FROM sandboxd.task_queue WHERE id = \(id)"
            ) == ["ready|0"]
        )
        try Self.expectBalanced(database)
    }

    @Test("a daemon whose database is not there says so, refuses runs, and goes on when it comes")
    func absent() throws {
        let database = try TestDatabase()
        let later = database.name + "_later"
        let daemon = try TestDaemon([
            "--database", database.string.replacing(database.name, with: later),
        ])
        let refused = try daemon.api.answer(
            "POST",
            "/v1/runs",
            body: try Run(["true"]).json.bytes
        )
        #expect(refused.status == 503)
        #expect(try refused.json["error"]?["code"]?.text == "database")
        #expect(try daemon.api.status()["queue"]?["reason"]?.text?.contains(later) == true)
        try database.query("CREATE DATABASE \(later)")
        #expect(
            try Host.waits(upTo: .seconds(20)) {
                try daemon.api.status()["queue"]?["ready"]?.bool == true
            }
        )
        #expect(try daemon.api.run(Run(["true"])).verdict == "ok")
        daemon.stop()
    }

    @Test("the embedded database goes with a killed daemon, and its tasks are there again after")
    func embedded() throws {
        let options = ["--database", "embedded"]
        let first = try TestDaemon(options)
        let done = try first.api.submit(["true"])
        _ = try first.api.task(done, is: ["succeeded"])
        let waiting = try first.api.submit(["sleep", "60"])
        _ = try first.api.task(waiting, is: ["running"])
        let family = ProcessTable().descendants(of: first.pid)
        #expect(family.contains { $0.name.hasPrefix("postgres") })
        first.kill9()
        #expect(
            Host.waits(upTo: .seconds(1)) { first.leftovers(of: family).isEmpty },
            "\(first.leftovers(of: family))"
        )
        let second = try TestDaemon(options, directory: first.directory)
        _ = try Self.firstAttempt(of: waiting, second.api)
        #expect(try second.api.state(done) == "succeeded")
        second.stop()
    }

    private static func firstAttempt(of id: Int, _ api: API) throws -> JSON {
        var attempt: JSON?
        let isThere = try Host.waits(upTo: .seconds(30)) {
            // A daemon that has just started may have no database yet.
            let answer = try api.answer("GET", "/v1/tasks/\(id)")
            guard answer.status == 200 else { return false }
            attempt = try answer.json["attempts"]?.elements.first
            return attempt != nil
        }
        #expect(isThere)
        return try #require(attempt)
    }

    /// Nothing is reserved that is not leased, and what is used is what attempts were charged.
    private static func expectBalanced(
        _ database: TestDatabase,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let wrong = try database.query(
            """
            SELECT b.budget, b.cpu_ms_used, b.cpu_ms_reserved, b.runs_used, b.runs_reserved
            FROM sandboxd.budgets b
            WHERE b.cpu_ms_used <> (SELECT coalesce(sum(cpu_ms), 0) FROM sandboxd.task_attempts a
                    WHERE a.budget_id = b.budget_id)
                OR b.runs_used <> (SELECT coalesce(sum(runs), 0) FROM sandboxd.task_attempts a
                    WHERE a.budget_id = b.budget_id)
                OR b.runs_reserved <> (SELECT count(*) FROM sandboxd.task_leases l
                    WHERE l.budget_id = b.budget_id)
            """
        )
        #expect(wrong.isEmpty, sourceLocation: sourceLocation)
    }
}
