// SPDX-License-Identifier: Apache-2.0
import Kernel
import Postgres
import Tasks
import Testing

/// A node goes on when the server that it works with goes away, by whatever way it comes back.
@Suite("A database that goes away", .privateServer, .serialized, .timeLimit(.minutes(10)))
struct FailoverTests {
    private static let taskCount = 400

    /// What one node did while the server went away.
    private actor Record {
        private(set) var settled: [LeaseKey: Settlement] = [:]
        /// Rings at each of them.
        nonisolated let bell = AsyncStream.makeStream(of: Void.self)

        func note(_ settlements: [LeaseKey: Settlement]) {
            settled.merge(settlements) { $1 }
            bell.continuation.yield()
        }
    }

    /// Leases and settles without a rest until nothing is left, whatever is in the way.
    private static func churn(_ node: TestNode, _ record: Record) async {
        while !Task.isCancelled {
            do throws(TaskError) {
                let keys = try await node.lease(3)
                if keys.isEmpty { break }
                await record.note(await node.settle(keys))
            } catch {
                // Cancelled: the loop sees it.
                try? await Task.sleep(for: .milliseconds(20))
            }
        }
    }

    /// Runs one node through the loss of its server, and expects that nothing was lost by it,
    /// nothing done twice, and that the node hears as before.
    private static func expectSurvival(
        of node: TestNode,
        _ database: TaskDatabase,
        away: (_ reason: () async -> String) async throws -> Void
    ) async throws {
        try await database.run(
            """
            SELECT count(*) FROM sandboxd.enqueue_many((SELECT jsonb_agg(
                '{"profile":"code","spec":{"argv":["true"]},"max_attempts":10}'::jsonb)
                FROM generate_series(1, \(taskCount))))
            """
        )
        let number = try await node.number
        let running = try await node.lease(20)
        #expect(running.count == 20)
        let record = Record()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await churn(node, record) }
            // Statements are under way when it happens.
            for await _ in record.bell.stream where await record.settled.count > 30 { break }
            try await away { await reason(node) }
            // What ran all the while is settled, by who ran it.
            await record.note(await node.settle(running))
            try await group.waitForAll()
        }
        #expect(try await node.number == number)
        try await expectNotification(node)
        // A lease in an answer that was lost is known to nobody; two looks in a row find it.
        for _ in 1...2 { _ = try await node.worker.settleUnheard() }
        try await finish(node, record)
        try await expectSettled(node, record)
    }

    /// Why the listening connection is down, once it is.
    private static func reason(_ node: TestNode) async -> String {
        guard case .disconnected(let error)? = await node.wait(until: { $0 != .connected }) else {
            return "it is closed"
        }
        return "\(error)"
    }

    private static func expectNotification(_ node: TestNode) async throws {
        try await node.worker.setWaiting(true)
        let task = #"[{"profile":"code","spec":{"argv":["true"]},"max_attempts":10}]"#
        _ = try await node.queue.enqueue(task)
        var notifications = node.notifications.makeAsyncIterator()
        #expect(await notifications.next()?.channel == "sandboxd_ready")
        try await node.worker.setWaiting(false)
    }

    /// Does what is left, at once: pauses after a failure are over.
    private static func finish(_ node: TestNode, _ record: Record) async throws {
        while true {
            let promote = Statement(
                "test_promote",
                "WITH u AS (UPDATE sandboxd.task_delayed SET run_at = now()) SELECT 1 AS one"
            )
            _ = try await node.queue.watch.query(promote, deadline: .seconds(10))
            _ = try await node.queue.promote()
            let keys = try await node.lease(100)
            if keys.isEmpty { return }
            await record.note(await node.settle(keys))
        }
    }

    private static func expectSettled(_ node: TestNode, _ record: Record) async throws {
        let settled = await record.settled
        let heard = settled.filter { $0.value == .settled(.succeeded) }
        // One for the notification.
        #expect(heard.count == taskCount + 1)
        #expect(Set(heard.keys.map(\.task)).count == taskCount + 1)
        let unheard = settled.filter { $0.value != .settled(.succeeded) }
        #expect(unheard.isEmpty)
        let history = Statement(
            "test_history",
            """
            SELECT (SELECT count(*) FROM sandboxd.task_attempts WHERE verdict = 'ok') AS ok,
                (SELECT count(*) FROM sandboxd.task_attempts
                    WHERE verdict NOT IN ('ok', 'engine_error')) AS strange,
                (SELECT count(*) FROM sandboxd.tasks WHERE state <> 1) AS open,
                (SELECT runs_used FROM sandboxd.budgets WHERE budget = 'default') AS used,
                (SELECT runs_reserved FROM sandboxd.budgets WHERE budget = 'default') AS reserved
            """
        )
        let row = try await node.queue.watch.query(history, deadline: .seconds(10)).only()
        #expect(try row.int("ok") == taskCount + 1)
        #expect(try row.int("strange") == 0)
        #expect(try row.int("open") == 0)
        #expect(try row.int("used") == taskCount + 1)
        #expect(try row.int("reserved") == 0)
        let breaches = try await node.queue.watch.query(Invariants.all, deadline: .seconds(30))
        #expect(try breaches.map { try $0.text("breach") } == [])
    }

    @Test("a server that is restarted in the middle loses nothing", arguments: [true, false])
    func restarted(inOrder: Bool) async throws {
        try await PrivateServer.with { server in
            try await server.database.migrate()
            try await TestNode.with(server.string) { node in
                try await Self.expectSurvival(of: node, server.database) { reason in
                    if inOrder { try await server.stop() } else { await server.killNow() }
                    #expect(await reason().contains("PostgreSQL"))
                    try await server.start()
                }
            }
        }
    }

    /// Runs `body` with a primary, a standby that has every commit before it is answered (as
    /// synchronous_standby_names makes it; one that lags loses the last answers, and no queue can
    /// help that), and what a node needs to know of both.
    private static func withStandby(
        _ body: (_ primary: PrivateServer, _ standby: PrivateServer, _ url: String) async throws
            -> Void
    ) async throws {
        try await PrivateServer.with { primary in
            try await primary.database.migrate()
            try await primary.withStandby { standby in
                try await primary.database.run("ALTER SYSTEM SET synchronous_standby_names = '*'")
                try await primary.database.run("SELECT pg_reload_conf()")
                try await wait(
                    primary,
                    until: "EXISTS (SELECT FROM pg_stat_replication WHERE sync_state = 'sync')"
                )
                let hosts = [primary, standby].map {
                    $0.directory.split(separator: "/").map { "%2F" + $0 }.joined()
                }
                let url =
                    "postgresql://sandboxd@\(hosts.joined(separator: ","))/postgres"
                    + "?target_session_attrs=read-write&options=-c%20search_path%3D"
                try await body(primary, standby, url)
            }
        }
    }

    /// Waits, on the server's side and at most ten seconds.
    private static func wait(_ server: PrivateServer, until condition: String) async throws {
        try await server.database.run(
            """
            DO $$ BEGIN
                FOR i IN 1..2000 LOOP
                    PERFORM pg_stat_clear_snapshot();
                    IF \(condition) THEN
                        RETURN;
                    END IF;
                    PERFORM pg_sleep(0.005);
                END LOOP;
                RAISE 'it never came to %', $c$\(condition)$c$;
            END $$
            """
        )
    }

    @Test("when the primary dies and the standby is promoted, work goes on and counts once")
    func failover() async throws {
        try await Self.withStandby { primary, standby, url in
            try await TestNode.with(url) { node in
                try await Self.expectSurvival(of: node, primary.database) { reason in
                    await primary.killNow()
                    _ = await reason()
                    // As long as it follows, the other one is no place to go to.
                    #expect(await reason().contains("read-only"))
                    try await standby.database.run("SELECT pg_promote(true, 30)")
                }
            }
        }
    }

    /// The standby has the commit, and the node has no answer: the primary died in between.
    @Test("a completion whose answer died with the primary is known to have counted")
    func unheard() async throws {
        try await Self.withStandby { primary, standby, url in
            try await TestNode.with(url) { node in
                let task = #"{"profile":"code","spec":{"argv":["true"]}}"#
                _ = try await node.queue.enqueue("[\(task),\(task),\(task)]")
                let keys = try await node.lease(3)
                await standby.freeze()
                async let settled = node.settle(keys)
                try await Self.wait(
                    primary,
                    until: """
                        EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep'
                            AND query LIKE '%sandboxd.settle(%')
                        AND (SELECT bool_and(sent_lsn >= pg_current_wal_flush_lsn())
                            FROM pg_stat_replication)
                        """
                )
                await primary.killNow()
                await standby.thaw()
                try await standby.database.run("SELECT pg_promote(true, 30)")
                #expect(await settled.values.allSatisfy { $0 == .settled(.succeeded) })
            }
            try await standby.database.withConnection { connection in
                let attempts = try await connection.value(
                    "SELECT count(*) AS value FROM sandboxd.task_attempts WHERE verdict = 'ok'"
                )
                #expect(attempts == "3")
                try await Invariants.expectNone(connection)
            }
        }
    }
}
