// SPDX-License-Identifier: Apache-2.0
import Postgres
import Tasks

/// What people do to the queue: enqueue, cancel, bring back, set budgets.
extension QueueDriver {
    /// A profile and a spec, and what an attempt of them reserves.
    struct Work {
        let profile: String
        let spec: String
        let worst: Units
        let memoryMiB: Int

        /// What a key stands for.
        var content: String { "\(profile) \(spec)" }
    }

    /// One task as it is asked for, and what the model makes of it.
    private struct Asked {
        let json: String
        let entry: QueueModel.Entry
        let key: String?
        let content: String
    }

    /// A spec that tightens its profile at random.
    func work() throws -> Work {
        let profile = try pick(["code", "code", "code", "big"])
        guard let most = Self.profiles[profile] else { throw Disagreement(description: profile) }
        let cpu = random.oneIn(2) ? number(1...most.cpu) : nil
        let wall = random.oneIn(2) ? number(1...most.wall) : nil
        let bytes = random.oneIn(3) ? number(1...most.memoryMiB << 20) : nil
        let limits = JSONText.object([
            "cpu_time_ms": cpu.map(String.init), "wall_time_ms": wall.map(String.init),
            "memory_bytes": bytes.map(String.init),
        ])
        let memoryMiB = bytes.map { ($0 + 1_048_575) >> 20 } ?? most.memoryMiB
        let worst = Units(
            cpu: cpu ?? most.cpu,
            memory: (memoryMiB * (wall ?? most.wall) + 999) / 1000,
            wall: wall ?? most.wall,
            runs: 1,
            egress: most.egress
        )
        let spec = #"{"argv":["true"],"limits":\#(limits)}"#
        return Work(profile: profile, spec: spec, worst: worst, memoryMiB: memoryMiB)
    }

    /// A key, new or known; a known one mostly with the work that it stands for.
    func keyed() throws -> (key: String?, work: Work) {
        let fresh = try work()
        guard random.oneIn(20), !model.keyNames.isEmpty else {
            return (random.oneIn(3) ? "key \(number(0...5000))" : nil, fresh)
        }
        let key = try pick(model.keyNames)
        guard !random.oneIn(4), let (id, content) = model.keys[key], let task = model.tasks[id]
        else { return (key, fresh) }
        let parts = content.split(separator: " ", maxSplits: 1).map(String.init)
        let same = Work(
            profile: parts[0],
            spec: parts[1],
            worst: task.worst,
            memoryMiB: task.memoryMiB
        )
        return (key, same)
    }

    private func ask() throws -> Asked {
        let (key, work) = try keyed()
        let budget = try pick(Self.budgets)
        let pool = random.oneIn(5) ? "host" : "sandbox"
        let priority = random.oneIn(2) ? 0 : number(-3...3)
        let maximum = number(1...4)
        let retryOn: [String]? = random.oneIn(3) ? try pick([[], ["exit"], ["exit", "oom"]]) : nil
        let isLater = random.oneIn(6)
        let isPast = !isLater && random.oneIn(20)
        let json = JSONText.object([
            "profile": JSONText.string(work.profile),
            "spec": work.spec,
            "budget": budget == "default" && random.oneIn(2) ? nil : JSONText.string(budget),
            "key": key.map(JSONText.string),
            "pool": pool == "host" ? JSONText.string(pool) : nil,
            "priority": priority == 0 ? nil : String(priority),
            "max_attempts": String(maximum),
            "retry_on": retryOn.map { JSONText.list($0.map(JSONText.string)) },
            "run_at": isLater ? #""@later""# : isPast ? #""2020-02-02T02:02:02Z""# : nil,
            "deadline_at": random.oneIn(5) ? #""@much later""# : nil,
        ])
        let entry = QueueModel.Entry(
            id: 0,
            budget: budget,
            pool: pool,
            rank: -priority,
            memoryMiB: work.memoryMiB,
            worst: work.worst,
            maximum: maximum,
            retryOn: retryOn.map(Set.init),
            place: isLater ? .delayed : .ready
        )
        return Asked(json: json, entry: entry, key: key, content: work.content)
    }

    /// The SQLSTATE with which a batch is refused; nil when it is not.
    private func refusal(of batch: [Asked]) -> String? {
        var keys = model.keys
        for asked in batch {
            guard let account = model.accounts[asked.entry.budget],
                account.prices.pricing(asked.entry.worst).fit(account.caps)
            else { return "SB004" }
        }
        for asked in batch {
            guard let key = asked.key else { continue }
            if let known = keys[key], known.asked != asked.content { return "SB003" }
            keys[key] = (0, asked.content)
        }
        return nil
    }

    func enqueue() async throws {
        var batch: [Asked] = []
        for _ in 0..<number(1...6) { batch.append(try ask()) }
        let json = JSONText.list(batch.map(\.json))
        note("enqueue \(json)")
        let expected = refusal(of: batch)
        let rows: Rows
        do throws(PostgresError) {
            rows = try await connection.rows(
                """
                SELECT task_id, created FROM sandboxd.enqueue_many(replace(replace($1, '@later',
                    (now() + interval '1 day')::text), '@much later',
                    (now() + interval '9 days')::text)::jsonb) ORDER BY ord
                """,
                json
            )
        } catch {
            return try expect(error.sqlState, expected, "refused")
        }
        try expect(nil, expected, "refused")
        try expect(rows.count, batch.count)
        for (row, asked) in zip(rows, batch) {
            let id = try row.int("task_id")
            let known = asked.key.flatMap { model.keys[$0] }
            try expect(try row.bool("created"), known == nil, "new")
            if let known {
                try expect(id, known.task)
                continue
            }
            var entry = QueueModel.Entry(copying: asked.entry, id: id)
            entry.isUntouched = entry.place == .ready
            change { [entry] in $0.add(entry, key: asked.key, asked: asked.content) }
        }
    }

    /// One task that is there, in whatever state.
    func anyTask() throws -> Int {
        if random.oneIn(50) || model.tasks.isEmpty { return 999_999_999 }
        let open = model.open
        if random.oneIn(3) || open.isEmpty { return try pick(model.ids) }
        return try pick(open).id
    }

    func cancel() async throws {
        let id = try anyTask()
        note("cancel \(id)")
        let state = try await connection.value(
            "SELECT sandboxd.cancel($1::bigint) AS value",
            String(id)
        )
        let expected = change { $0.cancel(id) }
        try expect(state, expected, "cancel")
    }

    func retry() async throws {
        let id = try anyTask()
        note("retry \(id)")
        let state = try await connection.value(
            "SELECT sandboxd.retry($1::bigint) AS value",
            String(id)
        )
        let expected = change { $0.retry(id) }
        try expect(state, expected, "retry")
    }

    /// A task's deadline passes while it waits or runs.
    func passDeadline() async throws {
        guard !model.open.isEmpty else { return }
        let id = try pick(model.open).id
        note("deadline of \(id) passes")
        _ = try await connection.rows(
            """
            UPDATE sandboxd.tasks SET deadline_at = now() - interval '1 second'
            WHERE task_id = $1::bigint
            """,
            String(id)
        )
        change { $0.change(id) { $0.isPastDeadline = true } }
    }

    // MARK: Budgets

    /// A period ends, as far as a budget can tell.
    func passPeriod() async throws {
        note("the daily budget's period is over")
        _ = try await connection.rows(
            """
            UPDATE sandboxd.budgets SET period_began = period_began - interval '1 month'
            WHERE budget = 'daily' AND period <> 'total'
            """
        )
        let hasPeriods = model.accounts["daily"]?.period != "total"
        change { $0.accounts["daily"]?.isPeriodOver = hasPeriods }
    }

    func rollBudgets() async throws {
        note("roll budgets")
        _ = try await connection.rows("SELECT sandboxd.roll_budgets()")
        change { model in
            for name in model.accounts.keys { model.accounts[name]?.roll() }
        }
    }

    func setBudget() async throws {
        let name = try pick(Self.budgets)
        guard var account = model.accounts[name] else { return }
        var settings: [String] = []
        account.roll()
        let floor = (account.used + account.reserved).values
        var isTooLow = false
        for (index, unit) in Units.names.enumerated() where random.oneIn(3) {
            if Self.capped[name]?.contains(unit) != true || random.oneIn(20) {
                account.caps[index] = nil
                settings.append("\"\(unit)_cap\":null")
                continue
            }
            let cap = max(0, floor[index] + number(-20...300) * (Self.steps[unit] ?? 1))
            isTooLow = isTooLow || cap < floor[index]
            account.caps[index] = cap
            settings.append("\"\(unit)_cap\":\(cap)")
        }
        for (index, price) in Prices.names.enumerated() where name == "priced" && random.oneIn(3) {
            account.prices.values[index] = number(0...3) * 1_000_003
            settings.append("\"\(price)\":\(account.prices.values[index])")
        }
        if name == "daily", random.oneIn(4) {
            let period = try pick(["day", "month", "total"])
            if period != account.period { account.isPeriodOver = false }
            account.period = period
            settings.append("\"period\":\"\(period)\"")
        }
        if random.oneIn(2) {
            account.isRejecting = ["reject", "small"].contains(name)
            settings.append("\"on_exhausted\":\"\(account.isRejecting ? "reject" : "hold")\"")
        }
        account.isPaused = random.oneIn(8)
        settings.append("\"paused\":\(account.isPaused)")
        let json = "{\(settings.joined(separator: ","))}"
        note("budget \(name) \(json)")
        let error = await failure { () throws(PostgresError) in
            try await connection.rows("SELECT sandboxd.set_budget($1, $2::jsonb)", name, json)
        }
        try expect(error?.sqlState, isTooLow ? "SB002" : nil, "set_budget \(floor)")
        guard !isTooLow else { return }
        change { [account] in $0.accounts[name] = account }
    }

    /// Which caps a budget ever has.
    private static let capped: [String: Set<String>] = [
        "hold": Set(Units.names), "reject": ["runs", "cpu_ms"], "priced": ["money_nanos"],
        "daily": ["wall_ms"], "small": ["egress_bytes", "memory_mib_s"],
    ]
    private static let steps = [
        "cpu_ms": 100, "memory_mib_s": 100, "wall_ms": 200, "egress_bytes": 100_000,
        "money_nanos": 100_000,
    ]
}

extension QueueModel.Entry {
    fileprivate init(copying other: Self, id: Int) {
        self.init(
            id: id,
            budget: other.budget,
            pool: other.pool,
            rank: other.rank,
            memoryMiB: other.memoryMiB,
            worst: other.worst,
            maximum: other.maximum,
            retryOn: other.retryOn,
            place: other.place
        )
    }
}
