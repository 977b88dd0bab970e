// SPDX-License-Identifier: Apache-2.0
import Postgres
import Tasks
import Testing

/// Takes random steps on a real queue and holds each answer, and the tables, against the model.
final class QueueDriver {
    /// The queue did something else than the model.
    struct Disagreement: Error, CustomStringConvertible {
        let description: String
    }

    private(set) var model = QueueModel()
    var random: SplitMix
    /// What was done, for people.
    private(set) var steps: [String] = []
    let connection: Connection
    private let day: String

    init(_ connection: Connection, seed: UInt64) async throws {
        self.connection = connection
        random = SplitMix(seed: seed)
        day = try await connection.value("SELECT now()::date::text AS value") ?? ""
        for name in Self.budgets { model.accounts[name] = QueueModel.Account() }
        for name in Self.budgets where name != "default" {
            _ = try await connection.rows("SELECT sandboxd.set_budget($1, '{}')", name)
        }
        for pool in ["sandbox", "host", "sandbox"] { try await register(pool) }
    }

    // MARK: Comparing

    /// Whether the day is still that of the beginning: budgets of a day roll over by themselves.
    func isSameDay() async throws -> Bool {
        try await connection.value("SELECT now()::date::text AS value") == day
    }

    /// How much is looked at.
    enum Extent {
        /// What is under way, and the budgets.
        case step
        /// The history too, and each task that was open a while ago.
        case recent
        case everything
    }

    /// Holds the tables against the promises and against the model.
    func check(_ extent: Extent) async throws {
        let statement = extent == .step ? Invariants.cheap : Invariants.all
        let breaches = try await Invariants.breaches(statement, connection)
        try expect(breaches, [])
        try await checkBudgets()
        guard extent != .step else { return }
        let ids = extent == .everything ? model.ids : model.candidates.sorted()
        try await checkTasks(ids)
        if extent == .everything { try await checkKeys() }
        model.tidy()
    }

    /// Clears away dead rows.
    func vacuum() async throws {
        try await connection.script("VACUUM (ANALYZE)", deadline: .seconds(30))
    }

    private static let budgetsStatement = Statement(
        "model_budgets",
        """
        SELECT budget, array_to_string(ARRAY[cpu_ms_used, memory_mib_s_used, wall_ms_used, runs_used,
            egress_bytes_used, money_nanos_used], ', ') AS used,
            array_to_string(ARRAY[cpu_ms_reserved, memory_mib_s_reserved, wall_ms_reserved,
            runs_reserved, egress_bytes_reserved, money_nanos_reserved], ', ') AS reserved
        FROM sandboxd.budgets
        """
    )

    private func checkBudgets() async throws {
        for row in try await connection.query(Self.budgetsStatement, deadline: .seconds(30)) {
            let name = try row.text("budget")
            guard let account = model.accounts[name] else { throw Disagreement(description: name) }
            try expect(try row.text("used").bracketed, "\(account.used)", "\(name) used")
            try expect(
                try row.text("reserved").bracketed,
                "\(account.reserved)",
                "\(name) reserved"
            )
        }
    }

    private static let tasksStatement = Statement(
        "model_tasks",
        """
        SELECT t.task_id, concat_ws(' ', CASE WHEN t.state <> 0 THEN sandboxd.state_word(t.state)
                ELSE coalesce('leased by ' || l.worker_id, CASE WHEN d.task_id IS NULL
                THEN 'ready' ELSE 'delayed' END) END, coalesce(t.verdict, '-'), t.attempts,
            t.last_fence, t.cancel_requested, coalesce(l.fence, d.fence, r.fence),
            coalesce(l.attempt, d.attempt, r.attempt)) AS is
        FROM sandboxd.tasks t
        LEFT JOIN sandboxd.task_leases l ON l.task_id = t.task_id
        LEFT JOIN sandboxd.task_delayed d ON d.task_id = t.task_id
        LEFT JOIN sandboxd.task_ready r ON r.task_id = t.task_id
        WHERE t.task_id = ANY ($1::bigint[])
        """
    )

    private func checkTasks(_ ids: [Int]) async throws {
        let count = try await connection.value("SELECT count(*) AS value FROM sandboxd.tasks")
        try expect(count, "\(model.ids.count)", "tasks")
        let rows = try await connection.query(
            Self.tasksStatement,
            [ArrayLiteral.integers(ids)],
            deadline: .seconds(30)
        )
        try expect(rows.count, ids.count, "tasks")
        for row in rows {
            let id = try row.int("task_id")
            guard let task = model.tasks[id] else {
                throw Disagreement(description: "task \(id) is unknown")
            }
            try expect(try row.text("is"), Self.describe(task), "task \(id)")
        }
    }

    private func checkKeys() async throws {
        let keys = try await connection.rows("SELECT key, task_id FROM sandboxd.task_keys")
        try expect(keys.count, model.keys.count, "keys")
        for row in keys {
            let key = try row.text("key")
            try expect(try row.int("task_id"), model.keys[key]?.task, "key \(key)")
        }
    }

    private static func describe(_ task: QueueModel.Entry) -> String {
        let place =
            switch task.place {
            case .ready: "ready"
            case .delayed: "delayed"
            case .leased(let worker): "leased by \(worker)"
            case .ended(let fate): fate.word
            }
        return "\(place) \(task.verdict ?? "-") \(task.attempts) \(task.lastFence) "
            + (task.isCancelRequested ? "t" : "f")
            + (task.isOpen ? " \(task.fence) \(task.attempt)" : "")
    }

    func expect<Value: Equatable>(
        _ actual: Value,
        _ expected: Value,
        _ what: String = "the queue"
    ) throws {
        guard actual != expected else { return }
        throw Disagreement(description: "\(what): \(actual), and the model has \(expected)")
    }

    func note(_ step: String) {
        steps.append("\(steps.count): \(step)")
    }

    /// Changes the model.
    func change<Value>(_ body: (inout QueueModel) -> Value) -> Value {
        body(&model)
    }
}

extension String {
    fileprivate var bracketed: String { "[\(self)]" }
}

extension QueueDriver {
    static let budgets = ["default", "hold", "reject", "priced", "daily", "small"]
    static let profiles: [String: (cpu: Int, wall: Int, memoryMiB: Int, egress: Int)] = [
        "code": (1000, 2000, 256, 0), "big": (10000, 20000, 2048, 1_048_576),
    ]

    /// One of them; there must be some.
    func pick<Element>(_ elements: [Element]) throws -> Element {
        try #require(elements.randomElement(using: &random))
    }

    func number(_ range: ClosedRange<Int>) -> Int {
        Int.random(in: range, using: &random)
    }

    /// Makes a worker; a node's earlier one is over.
    func register(_ pool: String? = nil) async throws {
        let pool = try pool ?? pick(["sandbox", "sandbox", "host"])
        let name = try pick(["a", "b", "c"])
        let row = try await connection.rows(
            "SELECT sandboxd.register_worker($1, 3600, $2) AS worker",
            name,
            pool
        ).only()
        let worker = try row.int("worker")
        note("worker \(worker) of pool \(pool) registers as \(name)")
        change { model in
            for (id, node) in model.workers where node.name == name && node.pool == pool {
                model.workers[id]?.isRetired = true
            }
            model.workers[worker] = QueueModel.Node(name: name, pool: pool)
        }
    }
}
