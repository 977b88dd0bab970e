// SPDX-License-Identifier: Apache-2.0
internal import Postgres

/// Tasks that wait for a person's word.
extension TaskQueue {
    private static let listStatement = Statement(
        "approvals",
        """
        SELECT json_build_object('approvals', coalesce(json_agg(l.line ORDER BY l.id), '[]'::json))
            AS json
        FROM (
            SELECT h.task_id AS id, json_build_object('task_id', h.task_id, 'profile', t.profile,
                'budget', b.budget, 'spec', t.spec, 'digest', encode(a.digest, 'hex'),
                'needed_for', a.needed_for, 'asked_at', a.asked_at, 'expires_at', a.expires_at)
                AS line
            FROM sandboxd.task_held h
            JOIN sandboxd.tasks t ON t.task_id = h.task_id
            JOIN sandboxd.lanes l ON l.lane = t.lane
            JOIN sandboxd.budgets b ON b.budget_id = l.budget_id
            JOIN LATERAL (SELECT * FROM sandboxd.approvals o WHERE o.task_id = h.task_id
                ORDER BY o.approval_id DESC LIMIT 1) AS a ON true
            ORDER BY h.task_id LIMIT 1000
        ) AS l
        """
    )
    private static let decideStatement = Statement(
        "decide",
        "SELECT sandboxd.decide($1::bigint, $2, $3, $4, $5) AS state"
    )
    private static let expireStatement = Statement(
        "expire_approvals",
        "SELECT sandboxd.expire_approvals() AS expired"
    )

    /// What waits, oldest first, JSON; at most 1000.
    package func approvals() async throws(TaskError) -> String {
        try await json(Self.listStatement, []) ?? "{}"
    }

    /// Approves or denies a task, of which `digest` was shown; answers its state, nil when there is
    /// none.
    package func decide(
        task: Int,
        isApproved: Bool,
        digest: String,
        by person: String,
        why: String?
    ) async throws(TaskError) -> String? {
        let word = isApproved ? "approved" : "denied"
        let rows = try await ask(
            watch,
            Self.decideStatement,
            [String(task), word, digest, person, why]
        )
        return try Self.reading { () throws(PostgresError) in
            try rows.only().optionalText("state")
        }
    }

    /// Ends what nobody has decided about in time; answers how many.
    package func expireApprovals() async throws(TaskError) -> Int {
        let rows = try await ask(watch, Self.expireStatement, [])
        return try Self.reading { () throws(PostgresError) in try rows.only().int("expired") }
    }
}
