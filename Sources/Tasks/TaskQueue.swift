// SPDX-License-Identifier: Apache-2.0
internal import JSON
internal import Kernel
package import Postgres

/// The queue in PostgreSQL, as a worker uses it: the SQL functions of `Schema/`, typed.
///
/// Three connections, so that nothing of one kind waits for another: `work` leases and settles,
/// `beats` is for heartbeats alone, and `watch` listens and reads.
package struct TaskQueue: Sendable {
    package let work: Client
    package let beats: Client
    package let watch: Client

    /// What one statement may take.
    private static let deadline = Duration.seconds(15)
    /// What a heartbeat may take: less than the margin that leases leave.
    private static let beatDeadline = Duration.seconds(3)

    package init(work: Client, beats: Client, watch: Client) {
        self.work = work
        self.beats = beats
        self.watch = watch
    }

    // MARK: Workers

    /// Throws when one of the connections cannot be used now.
    package func check() async throws(TaskError) {
        for client in [work, watch] { _ = try await ask(client, Statements.check, []) }
    }

    /// Makes this node a worker with leases of `timeToLive`; its earlier ones are over.
    package func register(
        node: String,
        timeToLive: Duration,
        bootID: String,
        version: String
    ) async throws(TaskError) -> Int {
        let rows = try await ask(
            beats,
            Statements.register,
            [node, Self.seconds(timeToLive), bootID, version]
        )
        return try Self.reading { () throws(PostgresError) in try rows.only().int("worker") }
    }

    /// Says that the worker lives, and what its leases have used; answers what to end.
    package func heartbeat(
        worker: Int,
        timeToLive: Duration,
        usage: [LeaseKey: Charge]
    ) async throws(TaskError) -> [LeaseOrder] {
        let held = Array(usage)
        let rows: Rows
        do throws(PostgresError) {
            rows = try await beats.query(
                Statements.heartbeat,
                [
                    String(worker), Self.seconds(timeToLive),
                    ArrayLiteral.integers(held.map(\.key.task)),
                    ArrayLiteral.integers(held.map(\.key.fence)),
                    ArrayLiteral.integers(held.map(\.value.cpuMilliseconds)),
                    ArrayLiteral.integers(held.map(\.value.memoryMiBSeconds)),
                    ArrayLiteral.integers(held.map(\.value.wallMilliseconds)),
                    ArrayLiteral.integers(held.map(\.value.egressBytes)),
                ],
                deadline: Self.beatDeadline
            )
        } catch {
            throw TaskError(error)
        }
        var orders: [LeaseOrder] = []
        for row in rows {
            let why = try Self.reading { () throws(PostgresError) in try row.text("why") }
            if why == "over" { throw .workerOver }
            let key = try Self.reading { () throws(PostgresError) in
                LeaseKey(task: try row.int("task_id"), fence: try row.int("fence"))
            }
            orders.append(LeaseOrder(key: key, why: why == "cancel" ? .cancel : .lost))
        }
        return orders
    }

    /// Whether the worker wants to be told of new tasks.
    package func setWaiting(worker: Int, _ isWaiting: Bool) async throws(TaskError) {
        _ = try await ask(work, Statements.setWaiting, [String(worker), isWaiting ? "t" : "f"])
    }

    /// Lets the worker take no new tasks, on whatever connection.
    package func drain(worker: Int, _ isDraining: Bool) async throws(TaskError) {
        _ = try await ask(work, Statements.drain, [String(worker), isDraining ? "t" : "f"])
    }

    // MARK: Tasks

    /// Takes up to `most` tasks that fit into `memoryMiB` together, beginning after a lane.
    package func lease(
        worker: Int,
        most: Int,
        memoryMiB: Int,
        afterLane: Int
    ) async throws(TaskError) -> [Lease] {
        let rows = try await ask(
            work,
            Statements.lease,
            [String(worker), String(most), String(memoryMiB), String(afterLane)]
        )
        return try Self.reading { () throws(PostgresError) in
            var leases: [Lease] = []
            for row in rows { leases.append(try Self.lease(row)) }
            return leases
        }
    }

    /// Begins a direct run: its rows are written and its worst case is reserved. `spec` is JSON.
    /// Answers nil for the fence when the key is known: then nothing was begun.
    package func beginRun(
        worker: Int,
        attemptID: String,
        profile: String,
        spec: String,
        account: Account
    ) async throws(TaskError) -> (task: Int, fence: Int?) {
        let rows = try await ask(
            work,
            Statements.beginRun,
            [
                String(worker), attemptID, profile, spec, account.budget, account.key,
                String(account.worstCase.cpuMilliseconds),
                String(account.worstCase.wallMilliseconds), String(account.memoryMiB),
                String(account.worstCase.egressBytes),
            ]
        )
        return try Self.reading { () throws(PostgresError) in
            let row = try rows.only()
            return (try row.int("task_id"), try row.optionalInt("fence"))
        }
    }

    /// Who pays for a direct run, and what it reserves.
    package struct Account: Sendable {
        package var budget: String
        package var key: String?
        package var worstCase: Charge
        /// Memory and swap.
        package var memoryMiB: Int

        package init(budget: String, key: String?, worstCase: Charge, memoryMiB: Int) {
            self.budget = budget
            self.key = key
            self.worstCase = worstCase
            self.memoryMiB = memoryMiB
        }
    }

    /// Puts tasks into the queue: all or none. `tasks` is the JSON list of `enqueue_many`. Answers
    /// each task's id, and whether it is new.
    package func enqueue(_ tasks: String) async throws(TaskError) -> [(task: Int, isNew: Bool)] {
        let rows = try await ask(watch, Statements.enqueue, [tasks])
        return try Self.reading { () throws(PostgresError) in
            var answers: [(task: Int, isNew: Bool)] = []
            for row in rows { answers.append((try row.int("task_id"), try row.bool("created"))) }
            return answers
        }
    }

    /// Cancels a task; answers its state, nil when there is none.
    package func cancel(task: Int) async throws(TaskError) -> String? {
        try await word(Statements.cancel, task)
    }

    /// Brings back a task that ended badly; answers its state, nil when there is none.
    package func retry(task: Int) async throws(TaskError) -> String? {
        try await word(Statements.retry, task)
    }

    private func word(_ statement: Statement, _ task: Int) async throws(TaskError) -> String? {
        let rows = try await ask(watch, statement, [String(task)])
        return try Self.reading { () throws(PostgresError) in
            try rows.only().optionalText("state")
        }
    }

    // MARK: Settling

    /// Settles attempts in one transaction. Safe to send again when the answer was lost: what the
    /// first sending settled is found in the history.
    package func settle(
        worker: Int,
        _ completions: [Completion]
    ) async throws(TaskError) -> [LeaseKey: Settlement] {
        let rows = try await ask(work, Statements.settle, Self.arrays(completions))
        var settlements: [LeaseKey: Settlement] = [:]
        try Self.readStates(rows, into: &settlements)
        let unsettled = completions.map(\.key).filter { settlements[$0] == nil }
        guard !unsettled.isEmpty else { return settlements }
        // Fenced off; or settled by an earlier sending whose answer was lost.
        let history = try await ask(
            work,
            Statements.settledBefore,
            [
                String(worker), ArrayLiteral.integers(unsettled.map(\.task)),
                ArrayLiteral.integers(unsettled.map(\.fence)),
            ]
        )
        try Self.readStates(history, into: &settlements)
        for key in unsettled where settlements[key] == nil { settlements[key] = .fencedOff }
        return settlements
    }

    private static func arrays(_ completions: [Completion]) -> [String?] {
        [
            ArrayLiteral.integers(completions.map(\.key.task)),
            ArrayLiteral.integers(completions.map(\.key.fence)),
            ArrayLiteral.text(completions.map(\.verdict)),
            ArrayLiteral.text(completions.map { $0.exitCode.map(String.init) }),
            ArrayLiteral.integers(completions.map(\.charge.cpuMilliseconds)),
            ArrayLiteral.integers(completions.map(\.charge.memoryMiBSeconds)),
            ArrayLiteral.integers(completions.map(\.charge.wallMilliseconds)),
            ArrayLiteral.integers(completions.map(\.charge.egressBytes)),
            ArrayLiteral.text(completions.map(\.source.rawValue)),
            ArrayLiteral.text(completions.map(\.report)),
        ]
    }

    private static func readStates(
        _ rows: Rows,
        into settlements: inout [LeaseKey: Settlement]
    ) throws(TaskError) {
        try reading { () throws(PostgresError) in
            for row in rows {
                let key = LeaseKey(task: try row.int("task_id"), fence: try row.int("fence"))
                guard let fate = TaskFate(rawValue: try row.int("state")) else {
                    throw .malformed("task \(key.task) is in a state that is unknown here")
                }
                settlements[key] = .settled(fate)
            }
        }
    }

    // MARK: Upkeep

    /// Takes away the leases of workers that are over; answers how many it settled. `stale` are
    /// workers that the caller has watched not to beat, with the count that he saw.
    package func sweep(stale: [(worker: Int, beats: Int)]) async throws(TaskError) -> [LeaseKey] {
        let rows = try await ask(
            watch,
            Statements.sweep,
            [
                ArrayLiteral.integers(stale.map(\.worker)),
                ArrayLiteral.integers(stale.map(\.beats)),
            ]
        )
        return try Self.reading { () throws(PostgresError) in
            var keys: [LeaseKey] = []
            for row in rows {
                keys.append(LeaseKey(task: try row.int("task_id"), fence: try row.int("fence")))
            }
            return keys
        }
    }

    /// What a worker holds, by the database.
    package func leases(of worker: Int) async throws(TaskError) -> Set<LeaseKey> {
        try Self.keys(try await ask(watch, Statements.leases, [String(worker)]))
    }

    /// What workers that are over still hold.
    package func leasesOfRetired() async throws(TaskError) -> Set<LeaseKey> {
        try Self.keys(try await ask(watch, Statements.retiredLeases, []))
    }

    private static func keys(_ rows: Rows) throws(TaskError) -> Set<LeaseKey> {
        try reading { () throws(PostgresError) in
            var keys: Set<LeaseKey> = []
            for row in rows {
                keys.insert(LeaseKey(task: try row.int("task_id"), fence: try row.int("fence")))
            }
            return keys
        }
    }

    /// How often each worker that is not over has beaten.
    package func beatsOfWorkers() async throws(TaskError) -> [Int: Int] {
        let rows = try await ask(watch, Statements.workers, [])
        return try Self.reading { () throws(PostgresError) in
            var beats: [Int: Int] = [:]
            for row in rows { beats[try row.int("worker_id")] = try row.int("beats") }
            return beats
        }
    }

    /// Makes due tasks ready, and begins new periods of budgets; answers how many tasks.
    package func promote() async throws(TaskError) -> Int {
        let rows = try await ask(watch, Statements.promote, [])
        return try Self.reading { () throws(PostgresError) in try rows.only().int("promoted") }
    }

    /// Makes partitions ahead and removes what is too old.
    package func maintain(keepDays: Int) async throws(TaskError) {
        _ = try await ask(watch, Statements.maintain, [String(keepDays)])
    }

    /// Tells the database what a profile allows one attempt.
    package func publish(profile: String, worstCase: Charge, memoryMiB: Int) async throws(TaskError)
    {
        _ = try await ask(
            watch,
            Statements.publish,
            [
                profile, String(worstCase.cpuMilliseconds), String(worstCase.wallMilliseconds),
                String(memoryMiB), String(worstCase.egressBytes),
            ]
        )
    }

    // MARK: Reading

    /// One JSON value, as the database makes it; nil when there is no row or it is NULL.
    package func json(
        _ statement: Statement,
        _ parameters: [String?]
    ) async throws(TaskError) -> String? {
        let rows = try await ask(watch, statement, parameters)
        guard let row = rows.first else { return nil }
        return try Self.reading { () throws(PostgresError) in try row.optionalText("json") }
    }

    func ask(
        _ client: Client,
        _ statement: Statement,
        _ parameters: [String?]
    ) async throws(TaskError) -> Rows {
        do throws(PostgresError) {
            return try await client.query(statement, parameters, deadline: Self.deadline)
        } catch {
            throw TaskError(error)
        }
    }

    private static func lease(_ row: Row) throws(PostgresError) -> Lease {
        Lease(
            key: LeaseKey(task: try row.int("task_id"), fence: try row.int("fence")),
            attempt: try row.int("attempt"),
            attemptID: String(try row.text("attempt_id").filter { $0 != "-" }),
            lane: try row.int("lane"),
            budget: try row.text("budget"),
            profile: try row.text("profile"),
            spec: try row.text("spec"),
            memoryMiB: try row.int("memory_mib"),
            millisecondsToDeadline: try row.optionalInt("deadline_ms")
        )
    }

    private static func seconds(_ duration: Duration) -> String {
        String(duration.milliseconds / 1000)
    }

    static func reading<Value>(
        _ body: () throws(PostgresError) -> Value
    ) throws(TaskError) -> Value {
        do throws(PostgresError) { return try body() } catch { throw .database(error) }
    }
}
