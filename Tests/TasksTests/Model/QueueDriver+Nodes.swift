// SPDX-License-Identifier: Apache-2.0
import Postgres
import Tasks

/// What nodes do to the queue: lease, settle, beat, fall silent, sweep.
extension QueueDriver {
    private static let verdicts = [
        "ok", "ok", "ok", "ok", "ok", "exit", "exit", "oom", "engine_error", "engine_error",
        "cancelled", "snoozed", "snoozed", "lease_lost",
    ]

    // MARK: Leases

    private static let readyStatement = Statement(
        "model_ready",
        """
        SELECT n.lane, b.budget, n.pool, array_to_string(ARRAY(SELECT r.task_id
            FROM sandboxd.task_ready r WHERE r.lane = n.lane ORDER BY r.rank, r.seq), ' ') AS tasks
        FROM sandboxd.lanes n JOIN sandboxd.budgets b USING (budget_id) ORDER BY n.lane
        """
    )

    /// What waits for a pool, lane by lane, beginning after one.
    private func ready(
        _ pool: String,
        after: Int
    ) async throws -> [(budget: String, tasks: [Int])] {
        var lanes: [(lane: Int, budget: String, tasks: [Int])] = []
        for row in try await connection.query(Self.readyStatement, deadline: .seconds(30)) {
            let tasks = try row.text("tasks").split(separator: " ").compactMap { Int($0) }
            try checkOrder(tasks)
            guard try row.text("pool") == pool else { continue }
            lanes.append((try row.int("lane"), try row.text("budget"), tasks))
        }
        let turned = lanes.filter { $0.lane > after } + lanes.filter { $0.lane <= after }
        return turned.map { ($0.budget, $0.tasks) }
    }

    /// Smaller ranks first, and what came first before what came later.
    private func checkOrder(_ ids: [Int]) throws {
        let tasks = ids.compactMap { model.tasks[$0] }
        try expect(tasks.map(\.rank), tasks.map(\.rank).sorted(), "ranks")
        for rank in Set(tasks.map(\.rank)) {
            let untouched = tasks.filter { $0.rank == rank && $0.isUntouched }.map(\.id)
            try expect(untouched, untouched.sorted(), "order of arrival")
        }
    }

    private func anyWorker() throws -> Int {
        let workers = model.workers.filter { !$0.value.isRetired }.keys.sorted()
        return workers.isEmpty || random.oneIn(20)
            ? try pick(model.workers.keys.sorted()) : try pick(workers)
    }

    func lease() async throws {
        let worker = try anyWorker()
        guard let node = model.workers[worker] else { return }
        let most = random.oneIn(4) ? number(0...1) : number(2...8)
        let memory = random.oneIn(2) ? number(100...3000) : 1 << 40
        let after = number(0...14)
        note("lease \(most) in \(memory) MiB after \(after) for \(worker)")
        // A cursor is forgotten after half a second of real time, which no seed fixes.
        _ = try await connection.rows(
            "SELECT set_config('sandboxd.cursor_' || lane, '', false) FROM sandboxd.lanes"
        )
        let ready = try await ready(node.pool, after: after)
        let rows: Rows
        do throws(PostgresError) {
            rows = try await connection.rows(
                """
                SELECT task_id, fence, attempt FROM sandboxd.lease($1::int, $2::int, $3::bigint,
                    $4::int)
                """,
                "\(worker)",
                "\(most)",
                "\(memory)",
                "\(after)"
            )
        } catch {
            return try expect(error.sqlState, node.isRetired ? "SB007" : nil, "refused")
        }
        try expect(false, node.isRetired, "retired")
        let expected = change {
            $0.lease(worker: worker, most: most, memoryMiB: memory, ready: ready)
        }
        var actual: [LeaseKey] = []
        for row in rows {
            let key = LeaseKey(task: try row.int("task_id"), fence: try row.int("fence"))
            actual.append(key)
            try expect(try row.int("attempt"), model.tasks[key.task]?.attempt, "attempt of \(key)")
        }
        try expect(actual, expected, "leases")
    }

    func beginRun() async throws {
        let worker = try anyWorker()
        let (key, work) = try keyed()
        let budget = try pick(Self.budgets)
        note("run \(work.content) of \(budget), key \(key ?? "none"), by \(worker)")
        var account = model.accounts[budget] ?? QueueModel.Account()
        account.roll()
        let known = key.flatMap { model.keys[$0] }
        let asked = account.prices.pricing(work.worst)
        var expected: String?
        if model.workers[worker]?.isRetired == true {
            expected = "SB007"
        } else if let known {
            expected = known.asked == work.content ? nil : "SB003"
        } else if account.isPaused
            || !(account.used + account.reserved + asked).fit(account.caps)
        {
            expected = "SB004"
        }
        let row: Row
        do throws(PostgresError) {
            row = try await connection.rows(
                """
                SELECT task_id, fence FROM sandboxd.begin_run($1::int, gen_random_uuid(), $2,
                    $3::jsonb, $4, $5, $6::bigint, $7::bigint, $8::bigint, $9::bigint)
                """,
                "\(worker)",
                work.profile,
                work.spec,
                budget,
                key,
                "\(work.worst.cpu)",
                "\(work.worst.wall)",
                "\(work.memoryMiB)",
                "\(work.worst.egress)"
            ).only()
        } catch {
            return try expect(error.sqlState, expected, "refused")
        }
        try expect(nil, expected, "refused")
        let id = try row.int("task_id")
        if let known {
            try expect(id, known.task)
            return try expect(try row.optionalInt("fence"), nil, "fence")
        }
        try expect(try row.int("fence"), 1, "fence")
        let pool = "sandbox"
        var entry = QueueModel.Entry(
            id: id,
            budget: budget,
            pool: pool,
            rank: 0,
            memoryMiB: work.memoryMiB,
            worst: work.worst,
            maximum: 1,
            retryOn: nil,
            place: .leased(worker: worker)
        )
        entry.reserved = asked
        entry.prices = account.prices
        entry.isUntouched = false
        account.reserved = account.reserved + asked
        change { [entry, account] model in
            model.add(entry, key: key, asked: work.content)
            model.accounts[budget] = account
        }
    }

    // MARK: Settling

    /// Of little, of what was reserved, and of far more.
    private func figures() -> Units {
        let most = random.oneIn(3) ? 1_000_000_000_000 : random.oneIn(3) ? 100 : 20_000
        return Units(
            cpu: number(-5...most),
            memory: number(-5...most),
            wall: number(-5...most),
            egress: number(-5...most)
        )
    }

    func complete() async throws {
        var keys = (0..<number(1...4)).compactMap { _ in
            model.leased.randomElement(using: &random)?.key
        }
        keys = Array(Set(keys)).sorted { ($0.task, $0.fence) < ($1.task, $1.fence) }
        // Some that are over, and some that never were.
        if random.oneIn(3) { keys += model.past.suffix(50).shuffled(using: &random).prefix(2) }
        if random.oneIn(10), let key = keys.first {
            keys.append(LeaseKey(task: key.task, fence: key.fence + number(1...3)))
        }
        guard !keys.isEmpty else { return }
        let isStale = !keys.contains { model.isHeld($0) }
        try await complete(keys)
        // Twice is the same as once.
        if random.oneIn(4) { try await complete(keys) }
        if isStale, random.oneIn(10) { try await check(.everything) }
    }

    private func complete(_ keys: [LeaseKey]) async throws {
        var endings: [QueueModel.Ending] = []
        for key in keys {
            let verdict = try pick(Self.verdicts)
            endings.append(.init(key: key, verdict: verdict, figures: figures()))
        }
        note("complete " + endings.map { "\($0.key) \($0.verdict)" }.joined(separator: ", "))
        let rows = try await connection.rows(
            """
            SELECT * FROM sandboxd.complete($1::bigint[], $2::int[], $3::text[], $4::int[],
                $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::text[])
            """,
            ArrayLiteral.integers(keys.map(\.task)),
            ArrayLiteral.integers(keys.map(\.fence)),
            ArrayLiteral.text(endings.map(\.verdict)),
            ArrayLiteral.text(endings.map { $0.verdict == "exit" ? "1" : nil }),
            ArrayLiteral.integers(endings.map(\.figures.cpu)),
            ArrayLiteral.integers(endings.map(\.figures.memory)),
            ArrayLiteral.integers(endings.map(\.figures.wall)),
            ArrayLiteral.integers(endings.map(\.figures.egress)),
            ArrayLiteral.text(endings.map { _ in random.oneIn(3) ? #"{"a":"\u0000"}"# : nil })
        )
        try await expectFates(rows, change { $0.settle(endings) })
    }

    private func expectFates(_ rows: Rows, _ expected: [LeaseKey: TaskFate]) async throws {
        var actual: [LeaseKey: TaskFate] = [:]
        for row in rows {
            let key = LeaseKey(task: try row.int("task_id"), fence: try row.int("fence"))
            actual[key] = TaskFate(rawValue: try row.int("state"))
        }
        try expect(actual, expected, "settled")
        // No pause after a failure ends by itself while the test runs.
        guard expected.values.contains(.open) else { return }
        _ = try await connection.rows(
            """
            UPDATE sandboxd.task_delayed SET run_at = run_at + interval '1 day'
            WHERE run_at < now() + interval '12 hours'
            """
        )
    }

    func heartbeat() async throws {
        let worker = try anyWorker()
        let own = model.leased.filter { $0.place == .leased(worker: worker) }.map(\.key)
        let others = model.leased.filter { $0.place != .leased(worker: worker) }.map(\.key)
        let keys =
            own.shuffled(using: &random).prefix(10)
            + others.prefix(random.oneIn(3) ? 1 : 0)
            + model.past.suffix(random.oneIn(3) ? 1 : 0)
        note("beat of \(worker) with \(keys)")
        let usage = keys.map { _ in figures() }
        let rows = try await connection.rows(
            """
            SELECT * FROM sandboxd.heartbeat($1::int, 3600, $2::bigint[], $3::int[], $4::bigint[],
                $5::bigint[], $6::bigint[], $7::bigint[])
            """,
            "\(worker)",
            ArrayLiteral.integers(keys.map(\.task)),
            ArrayLiteral.integers(keys.map(\.fence)),
            ArrayLiteral.integers(usage.map(\.cpu)),
            ArrayLiteral.integers(usage.map(\.memory)),
            ArrayLiteral.integers(usage.map(\.wall)),
            ArrayLiteral.integers(usage.map(\.egress))
        )
        var orders: [String] = []
        for row in rows {
            let key = "\(try row.optionalInt("task_id") ?? 0).\(try row.optionalInt("fence") ?? 0)"
            orders.append("\(key) \(try row.text("why"))")
        }
        if model.workers[worker]?.isRetired == true { return try expect(orders, ["0.0 over"]) }
        var expected: [String] = []
        for (key, figures) in zip(keys, usage) {
            guard own.contains(key) else {
                expected.append("\(key) lost")
                continue
            }
            change { $0.change(key.task) { $0.beat = figures } }
            if model.tasks[key.task]?.isCancelRequested == true { expected.append("\(key) cancel") }
        }
        try expect(orders.sorted(), expected.sorted(), "orders")
    }

    func drain() async throws {
        let worker = try anyWorker()
        let isDraining = random.oneIn(4)
        note("\(worker) is draining: \(isDraining)")
        _ = try await connection.rows(
            "SELECT sandboxd.drain($1::int, $2::boolean)",
            "\(worker)",
            "\(isDraining)"
        )
        change { $0.workers[worker]?.isDraining = isDraining }
    }

    // MARK: Upkeep

    /// Workers fall silent, by the server's clock or a watcher's, and their leases are taken away.
    func sweep() async throws {
        let silent = random.oneIn(2) ? [try anyWorker()] : []
        let isWatched = random.oneIn(2)
        let hasBeaten = isWatched && random.oneIn(3)
        note("sweep \(silent), watched: \(isWatched), has beaten: \(hasBeaten)")
        let rows: Rows
        if isWatched {
            rows = try await connection.rows(
                """
                SELECT * FROM sandboxd.sweep(1000, $1::int[], ARRAY(SELECT w.beats - $2::int
                    FROM unnest($1::int[]) AS s (id) JOIN sandboxd.workers w ON w.worker_id = s.id))
                """,
                ArrayLiteral.integers(silent),
                hasBeaten ? "1" : "0"
            )
        } else {
            _ = try await connection.rows(
                """
                UPDATE sandboxd.workers SET lease_until = now() - interval '1 second'
                WHERE worker_id = ANY ($1::int[])
                """,
                ArrayLiteral.integers(silent)
            )
            rows = try await connection.rows("SELECT * FROM sandboxd.sweep()")
        }
        let fates = change { model in
            for worker in hasBeaten ? [] : silent { model.workers[worker]?.isRetired = true }
            return model.sweep()
        }
        try await expectFates(rows, fates)
        if !model.workers.values.contains(where: { !$0.isRetired }) { try await register() }
    }

    /// The time of some delayed tasks comes.
    func promote() async throws {
        let delayed = model.open.filter { $0.place == .delayed }.map(\.id)
        let due = Array(delayed.shuffled(using: &random).prefix(number(0...10)))
        note("promote \(due)")
        _ = try await connection.rows(
            """
            UPDATE sandboxd.task_delayed SET run_at = now() - interval '1 second'
            WHERE task_id = ANY ($1::bigint[])
            """,
            ArrayLiteral.integers(due)
        )
        let count = try await connection.value("SELECT sandboxd.promote() AS value")
        try expect(count, "\(due.count)", "promoted")
        change { $0.promote(due) }
    }
}
