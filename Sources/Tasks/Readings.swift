// SPDX-License-Identifier: Apache-2.0
internal import Postgres

/// What can be read of the queue. Every answer is JSON, as the API gives it: the database makes it.
extension TaskQueue {
    private static let taskStatement = Statement(
        "read_task",
        """
        SELECT json_build_object('task_id', q.id, 'state', q.status, 'profile', q.profile,
            'budget', q.budget, 'pool', q.pool, 'priority', q.priority, 'key', k.key,
            'verdict', q.verdict, 'exit_code', q.exit_code, 'created_at', q.created_at,
            'finished_at', q.finished_at, 'claimed_by', q.claimed_by, 'claimed_at', q.claimed_at,
            'attempts_counted', q.attempts, 'spec', q.payload,
            'max_attempts', t.max_attempts, 'retry_on', t.retry_on, 'deadline_at', t.deadline_at,
            'run_at', (SELECT d.run_at FROM sandboxd.task_delayed d WHERE d.task_id = q.id),
            'cancel_requested', t.cancel_requested,
            'attempts', coalesce((
                SELECT json_agg(json_build_object('attempt_id', replace(a.attempt_id::text, '-', ''),
                    'attempt', a.attempt, 'fence', a.fence, 'verdict', a.verdict,
                    'exit_code', a.exit_code, 'leased_at', a.leased_at,
                    'finished_at', a.finished_at, 'charged_from', a.charged_from,
                    'charged', json_build_object('cpu_ms', a.cpu_ms,
                        'memory_mib_s', a.memory_mib_s, 'wall_ms', a.wall_ms, 'runs', a.runs,
                        'egress_bytes', a.egress_bytes, 'money_nanos', a.money_nanos),
                    'report', a.report) ORDER BY a.fence)
                FROM sandboxd.task_attempts a WHERE a.task_id = q.id), '[]'::json)) AS json
        FROM sandboxd.task_queue q
        JOIN sandboxd.tasks t ON t.task_id = q.id
        LEFT JOIN sandboxd.task_keys k ON k.task_id = q.id
        WHERE q.id = $1::bigint
        """
    )

    /// Newest first; the cursor is the last id of the page before.
    private static let listStatement = Statement(
        "list_tasks",
        """
        SELECT json_build_object('tasks', coalesce(json_agg(t.line ORDER BY t.id DESC), '[]'::json),
            'next', CASE WHEN count(*) = $3::int THEN min(t.id) END) AS json
        FROM (
            SELECT q.id, json_build_object('task_id', q.id, 'state', q.status,
                'profile', q.profile, 'budget', q.budget, 'priority', q.priority,
                'verdict', q.verdict, 'exit_code', q.exit_code, 'attempts_counted', q.attempts,
                'created_at', q.created_at, 'finished_at', q.finished_at,
                'claimed_by', q.claimed_by, 'argv', q.payload -> 'argv') AS line
            FROM sandboxd.task_queue q
            WHERE ($1::text IS NULL OR q.status = $1) AND q.id < coalesce($2::bigint, 9223372036854775807)
            ORDER BY q.id DESC LIMIT $3::int
        ) AS t
        """
    )

    private static let stateStatement = Statement(
        "task_state",
        """
        SELECT json_build_object('task_id', q.id, 'state', q.status, 'verdict', q.verdict,
            'exit_code', q.exit_code, 'attempts_counted', q.attempts,
            'claimed_by', q.claimed_by) AS json
        FROM sandboxd.task_queue q WHERE q.id = $1::bigint
        """
    )

    private static let depthStatement = Statement(
        "queue_depth",
        """
        SELECT json_build_object('ready', (SELECT count(*) FROM sandboxd.task_ready),
            'delayed', (SELECT count(*) FROM sandboxd.task_delayed),
            'running', (SELECT count(*) FROM sandboxd.task_leases)) AS json
        """
    )

    private static let blobStatement = Statement(
        "read_blob",
        "SELECT encode(content, 'base64') AS json FROM sandboxd.blobs WHERE sha256 = decode($1, 'hex')"
    )

    private static let putBlobStatement = Statement(
        "put_blob",
        """
        INSERT INTO sandboxd.blobs AS b (sha256, content)
        SELECT sha256(c), c FROM decode($1, 'base64') AS c
        ON CONFLICT (sha256) DO UPDATE SET touched_at = now()
        RETURNING encode(b.sha256, 'hex') AS json
        """
    )

    /// An attempt's id begins with its time, which spares the history of other days. One that
    /// begins with a time that is yet to come was made otherwise, and is looked for everywhere.
    private static let attemptStatement = Statement(
        "read_attempt",
        """
        SELECT a.report AS json FROM sandboxd.task_attempts a
        WHERE a.attempt_id = $1::uuid
            AND a.finished_at >= CASE
                WHEN to_timestamp($2::bigint / 1000.0) > now() + interval '1 day' THEN '-infinity'
                ELSE to_timestamp($2::bigint / 1000.0) - interval '1 day' END
        LIMIT 1
        """
    )

    private static let endingStatement = Statement(
        "task_ending",
        """
        SELECT sandboxd.state_word(t.state) AS state, t.verdict, (
                SELECT a.report FROM sandboxd.task_attempts a WHERE a.task_id = t.task_id
                ORDER BY a.fence DESC LIMIT 1) AS report
        FROM sandboxd.tasks t WHERE t.task_id = $1::bigint AND t.state <> 0
        """
    )

    /// The cap of a budget that has none, as `set_budget` keeps it.
    private static let noCap = 4_000_000_000_000_000_000

    private static func budgetObject(_ alias: String) -> String {
        let units = ["cpu_ms", "memory_mib_s", "wall_ms", "runs", "egress_bytes", "money_nanos"]
        let parts = units.map { unit in
            """
            '\(unit)', json_build_object('cap', nullif(\(alias).\(unit)_cap, \(noCap)),
                'used', \(alias).\(unit)_used, 'reserved', \(alias).\(unit)_reserved)
            """
        }
        return """
            json_build_object('budget', \(alias).budget, 'period', \(alias).period,
                'period_began', CASE WHEN isfinite(\(alias).period_began) THEN \(alias).period_began END,
                'on_exhausted', \(alias).on_exhausted, 'paused', \(alias).paused,
                'prices', json_build_object('cpu_s', \(alias).price_cpu_s,
                    'memory_gib_s', \(alias).price_memory_gib_s, 'run', \(alias).price_run,
                    'egress_gib', \(alias).price_egress_gib),
                'units', json_build_object(\(parts.joined(separator: ", "))))
            """
    }

    private static let budgetsStatement = Statement(
        "list_budgets",
        """
        SELECT json_build_object('budgets',
            coalesce(json_agg(\(budgetObject("b")) ORDER BY b.budget), '[]'::json)) AS json
        FROM sandboxd.budgets b
        """
    )

    private static let budgetStatement = Statement(
        "read_budget",
        "SELECT \(budgetObject("b")) AS json FROM sandboxd.budgets b WHERE b.budget = $1"
    )

    private static let setBudgetStatement = Statement(
        "set_budget",
        "SELECT sandboxd.set_budget($1, $2::jsonb)"
    )

    /// How a task ended.
    package struct Ending: Sendable, Hashable {
        /// One of the states that are final.
        package let state: String
        /// Of the last attempt; nil when no attempt ended it.
        package let verdict: String?
        /// Of the last attempt, JSON; nil when nobody who saw it has lived to tell (the lease was
        /// lost), or when nothing ran.
        package let report: String?
    }

    /// The report of an attempt that has ended, by its id of 32 hex digits; nil when there is none.
    package func report(ofAttempt id: String) async throws(TaskError) -> String? {
        let milliseconds = UInt64(id.prefix(12), radix: 16) ?? 0
        return try await json(Self.attemptStatement, [id, String(milliseconds)])
    }

    /// One task with its attempts; nil when there is none.
    package func task(_ id: Int) async throws(TaskError) -> String? {
        try await json(Self.taskStatement, [String(id)])
    }

    /// A page of tasks, newest first; of one state, when that is given.
    package func list(
        state: String?,
        before: Int?,
        limit: Int
    ) async throws(TaskError) -> String {
        try await json(Self.listStatement, [state, before.map(String.init), String(limit)]) ?? "{}"
    }

    /// Where a task is; nil when there is none.
    package func state(of id: Int) async throws(TaskError) -> String? {
        try await json(Self.stateStatement, [String(id)])
    }

    /// How a task ended; nil when it has not, or there is none.
    package func ending(of id: Int) async throws(TaskError) -> Ending? {
        let rows = try await ask(watch, Self.endingStatement, [String(id)])
        return try Self.reading { () throws(PostgresError) in
            guard let row = rows.first else { return nil }
            return Ending(
                state: try row.text("state"),
                verdict: try row.optionalText("verdict"),
                report: try row.optionalText("report")
            )
        }
    }

    /// How many tasks are where.
    package func depth() async throws(TaskError) -> String {
        try await json(Self.depthStatement, []) ?? "{}"
    }

    /// A blob in base64; nil when there is none.
    package func blob(sha256: String) async throws(TaskError) -> String? {
        try await json(Self.blobStatement, [sha256])
    }

    /// Keeps a blob that is given in base64; answers its SHA-256 in hex.
    package func putBlob(base64: String) async throws(TaskError) -> String {
        try await json(Self.putBlobStatement, [base64]) ?? ""
    }

    /// All budgets.
    package func budgets() async throws(TaskError) -> String {
        try await json(Self.budgetsStatement, []) ?? "{}"
    }

    /// One budget; nil when there is none.
    package func budget(_ name: String) async throws(TaskError) -> String? {
        try await json(Self.budgetStatement, [name])
    }

    /// Makes a budget or changes it: what the JSON object does not name stays.
    package func setBudget(_ name: String, _ settings: String) async throws(TaskError) {
        _ = try await ask(watch, Self.setBudgetStatement, [name, settings])
    }
}
