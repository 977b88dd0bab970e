// SPDX-License-Identifier: Apache-2.0
import Postgres
import Tasks
import Testing

@Suite("What is told of attempts and runs that ended", .database, .timeLimit(.minutes(10)))
struct AttemptReadingTests {
    /// The id and the age of what runs, by the time in its id.
    private static let running = """
        SELECT replace(attempt_id::text, '-', '') AS id, abs(extract(epoch FROM leased_at) * 1000
            - ('x0000' || left(replace(attempt_id::text, '-', ''), 12))::bit(64)::bigint) AS age_ms
        FROM sandboxd.task_leases ORDER BY task_id
        """

    private static func settle(_ connection: Connection) async throws {
        _ = try await connection.rows(
            """
            SELECT sandboxd.complete(array_agg(task_id), array_agg(fence), array_agg('ok'::text),
                array_agg(0), array_agg(1), array_agg(1), array_agg(1), array_agg(0),
                array_agg(json_build_object('task', task_id)::text))
            FROM sandboxd.task_leases
            """
        )
    }

    @Test("an attempt of a queued task is found by its id, whichever way it was leased")
    func queued() async throws {
        try await TaskDatabase.with { database in
            try await database.withConnection { connection in
                // The second lease meets one that is over, and goes task by task.
                try await connection.script(
                    """
                    SELECT sandboxd.enqueue('code', '{"argv":["true"]}') FROM generate_series(1, 4);
                    SELECT sandboxd.register_worker('a', 60);
                    SELECT * FROM sandboxd.lease(1, 2);
                    UPDATE sandboxd.tasks SET cancel_requested = true WHERE task_id = 3;
                    SELECT * FROM sandboxd.lease(1, 2);
                    """,
                    deadline: .seconds(20)
                )
                let rows = try await connection.rows(Self.running)
                let ids = try rows.map { try $0.text("id") }
                #expect(Set(ids).count == 3)
                for row in rows { #expect(try row.double("age_ms") < 60_000) }
                try await Self.settle(connection)
                try await database.withQueue { queue in
                    for (id, task) in zip(ids, [1, 2, 4]) {
                        let report = try await queue.report(ofAttempt: id)
                        #expect(report == #"{"task" : \#(task)}"#)
                    }
                    let unknown = try await queue.report(
                        ofAttempt: String(repeating: "0", count: 32)
                    )
                    #expect(unknown == nil)
                }
            }
        }
    }

    @Test("an attempt whose id begins with no time, as they were made once, is found all the same")
    func old() async throws {
        try await TaskDatabase.with { database in
            try await database.withConnection { connection in
                try await connection.script(
                    """
                    SELECT sandboxd.enqueue('code', '{"argv":["true"]}');
                    SELECT sandboxd.register_worker('a', 60);
                    SELECT * FROM sandboxd.lease(1, 1);
                    UPDATE sandboxd.task_leases
                    SET attempt_id = 'fedcba98-7654-4321-8000-000000000001';
                    """,
                    deadline: .seconds(20)
                )
                try await Self.settle(connection)
                // It ended days ago.
                _ = try await connection.rows(
                    "UPDATE sandboxd.task_attempts SET finished_at = now() - interval '9 days'"
                )
                try await database.withQueue { queue in
                    let report = try await queue.report(
                        ofAttempt: "fedcba98765443218000000000000001"
                    )
                    #expect(report == #"{"task" : 1}"#)
                }
            }
        }
    }

    private static func begin(
        _ queue: TaskQueue,
        _ worker: Int
    ) async throws -> (task: Int, fence: Int?) {
        var worst = Charge()
        worst.cpuMilliseconds = 1000
        worst.wallMilliseconds = 2000
        return try await queue.beginRun(
            worker: worker,
            attemptID: String(repeating: "a", count: 32),
            profile: "code",
            spec: #"{"argv":["true"]}"#,
            account: TaskQueue.Account(
                budget: "default",
                key: "once",
                worstCase: worst,
                memoryMiB: 256
            )
        )
    }

    /// The answer that gave the run to its worker was lost on the way.
    @Test("a run that never began gives its key to the next that asks")
    func neverBegan() async throws {
        try await TaskDatabase.with { database in
            try await TestNode.with(database.string) { node in
                let worker = try await node.number
                let lost = try await Self.begin(node.queue, worker)
                #expect(lost.fence == 1)
                let known = try await Self.begin(node.queue, worker)
                #expect(known.task == lost.task && known.fence == nil)
                #expect(try await node.worker.settleUnheard() == [])
                let key = LeaseKey(task: lost.task, fence: 1)
                #expect(try await node.worker.settleUnheard() == [key])
                let ending = try await node.queue.ending(of: lost.task)
                #expect(ending?.state == "dead" && ending?.verdict == "engine_error")
                #expect(ending?.report == nil)
                let next = try await Self.begin(node.queue, worker)
                #expect(next.task != lost.task && next.fence == 1)
                let again = try await Self.begin(node.queue, worker)
                #expect(again.task == next.task && again.fence == nil)
                _ = try await node.queue.settle(
                    worker: worker,
                    [
                        Completion(
                            key: LeaseKey(task: next.task, fence: 1),
                            verdict: "ok",
                            charge: Charge(),
                            report: #"{"verdict":"ok"}"#
                        )
                    ]
                )
                let told = try await node.queue.ending(of: next.task)
                #expect(told?.state == "succeeded" && told?.report == #"{"verdict":"ok"}"#)
            }
            try await database.withConnection { try await Invariants.expectNone($0) }
        }
    }

    @Test("a run that was lost on its way keeps its key, and how it ended is told")
    func lostOnItsWay() async throws {
        try await TaskDatabase.with { database in
            try await database.run("SELECT sandboxd.register_worker('a', 60)")
            try await database.withQueue { queue in
                let run = try await Self.begin(queue, 1)
                #expect(try await queue.ending(of: run.task) == nil)
                try await database.run(
                    """
                    UPDATE sandboxd.workers SET lease_until = now() - interval '1 second';
                    SELECT sandboxd.sweep();
                    SELECT sandboxd.register_worker('b', 60);
                    """
                )
                let again = try await Self.begin(queue, 2)
                #expect(again.task == run.task && again.fence == nil)
                let ending = try #require(try await queue.ending(of: run.task))
                #expect(ending.state == "dead" && ending.verdict == "lease_lost")
                #expect(ending.report == nil)
                #expect(try await queue.ending(of: 99) == nil)
            }
        }
    }
}
