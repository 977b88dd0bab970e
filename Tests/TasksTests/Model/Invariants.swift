// SPDX-License-Identifier: Apache-2.0
import Postgres
import Testing

/// What is true of the queue's tables at any moment. Each statement answers its breaches, as texts.
enum Invariants {
    /// Looks at what is under way only.
    static let cheap = Statement("invariants_cheap", "WITH \(leased) \(cheapSQL)")

    /// Looks at everything that ever was.
    static let all = Statement(
        "invariants_all",
        "WITH \(leased), \(spent) \(cheapSQL) UNION ALL \(heavySQL)"
    )

    /// The breaches that a statement finds.
    static func breaches(
        _ statement: Statement,
        _ connection: Connection
    ) async throws -> [String] {
        try await connection.query(statement, deadline: .seconds(30)).map { try $0.text("breach") }
    }

    /// Fails the test for each promise that is broken.
    static func expectNone(_ connection: Connection) async throws {
        for breach in try await breaches(all, connection) { Issue.record("\(breach)") }
    }

    private static let sumOfUnits = Units.names.map { "sum(\($0)) AS \($0)" }
        .joined(separator: ", ")

    /// Where open tasks are, beside what they are.
    private static let leased = """
        places AS MATERIALIZED (
            SELECT p.*, t.state, t.last_fence, t.max_attempts, t.lane, t.rank
            FROM (SELECT task_id, fence, attempt, lane AS at_lane, rank AS at_rank
                FROM sandboxd.task_ready
                UNION ALL SELECT task_id, fence, attempt, lane, rank FROM sandboxd.task_delayed
                UNION ALL SELECT task_id, fence, attempt, lane, rank FROM sandboxd.task_leases) AS p
            LEFT JOIN sandboxd.tasks t ON t.task_id = p.task_id),
        leased AS (SELECT l.budget_id, sum(t.cpu_ms) AS cpu_ms,
            sum(t.memory_mib_s) AS memory_mib_s, sum(t.wall_ms) AS wall_ms, count(*) AS runs,
            sum(t.egress_bytes) AS egress_bytes, sum(l.money_nanos) AS money_nanos
            FROM sandboxd.task_leases l JOIN sandboxd.tasks t ON t.task_id = l.task_id
            GROUP BY l.budget_id)
        """

    private static let spent = """
        closed AS (SELECT budget_id, \(sumOfUnits) FROM sandboxd.budget_periods GROUP BY budget_id),
        charged AS (SELECT budget_id, \(sumOfUnits) FROM sandboxd.task_attempts GROUP BY budget_id)
        """

    /// All units of a row as one array; what is not there is 0.
    private static func array(_ row: String, _ suffix: String) -> String {
        let sums = Units.names.map { "coalesce(\(row).\($0)\(suffix), 0)::numeric" }
        return "ARRAY[\(sums.joined(separator: ", "))]"
    }

    private static let cheapSQL = """
        SELECT format('task %s is in %s places', task_id, count(*)) AS breach
        FROM places GROUP BY task_id HAVING count(*) <> 1
        UNION ALL
        SELECT format('task %s waits or runs and is %s', task_id,
            coalesce(sandboxd.state_word(state), 'no task'))
        FROM places WHERE state IS DISTINCT FROM 0
        UNION ALL
        SELECT format('fence %s of task %s does not grow: %s was settled', fence, task_id, last_fence)
        FROM places WHERE fence <= last_fence
        UNION ALL
        SELECT format('attempt %s of task %s is past %s', attempt, task_id, max_attempts)
        FROM places WHERE attempt NOT BETWEEN 1 AND max_attempts
        UNION ALL
        SELECT format('task %s waits in a lane or rank that is not its own', task_id)
        FROM places WHERE (at_lane, at_rank) <> (lane, rank)
        UNION ALL
        SELECT format('budget %s has reserved %s, and its leases %s', b.budget,
            \(array("b", "_reserved")), \(array("l", "")))
        FROM sandboxd.budgets b LEFT JOIN leased l ON l.budget_id = b.budget_id
        WHERE \(array("b", "_reserved")) <> \(array("l", ""))
        UNION ALL
        SELECT format('budget %s is past a cap', b.budget) FROM sandboxd.budgets b
        WHERE \(Units.names.map { "b.\($0)_used + b.\($0)_reserved > b.\($0)_cap" }
            .joined(separator: " OR "))
        """

    private static let heavySQL = """
        SELECT format('task %s is open and nowhere', t.task_id) FROM sandboxd.tasks t
        WHERE t.state = 0
            AND NOT EXISTS (SELECT FROM sandboxd.task_ready r WHERE r.task_id = t.task_id)
            AND NOT EXISTS (SELECT FROM sandboxd.task_delayed d WHERE d.task_id = t.task_id)
            AND NOT EXISTS (SELECT FROM sandboxd.task_leases l WHERE l.task_id = t.task_id)
        UNION ALL
        SELECT format('task %s had fence %s %s times', task_id, fence, count(*))
        FROM sandboxd.task_attempts GROUP BY task_id, fence HAVING count(*) > 1
        UNION ALL
        SELECT format('task %s says %s attempts and fence %s, and its history %s and %s', t.task_id,
            t.attempts, t.last_fence, coalesce(a.counted, 0), coalesce(a.fence, 0))
        FROM sandboxd.tasks t LEFT JOIN (
            SELECT task_id, count(*) FILTER (WHERE verdict <> 'snoozed') AS counted,
                max(fence) AS fence FROM sandboxd.task_attempts GROUP BY task_id
        ) AS a ON a.task_id = t.task_id
        WHERE (t.attempts, t.last_fence) <> (coalesce(a.counted, 0), coalesce(a.fence, 0))
        UNION ALL
        SELECT format('task %s has %s keys', task_id, count(*))
        FROM sandboxd.task_keys GROUP BY task_id HAVING count(*) > 1
        UNION ALL
        SELECT format('the key %L belongs to no task', k.key) FROM sandboxd.task_keys k
        WHERE NOT EXISTS (SELECT FROM sandboxd.tasks t WHERE t.task_id = k.task_id)
        UNION ALL
        SELECT format('budget %s has used %s, and its attempts %s', b.budget, b.used, b.charged)
        FROM (SELECT b.budget, \(array("l", "")) AS charged,
                ARRAY[\(Units.names.map { "b.\($0)_used + coalesce(c.\($0), 0)" }
                    .joined(separator: ", "))] AS used
            FROM sandboxd.budgets b
            LEFT JOIN closed c ON c.budget_id = b.budget_id
            LEFT JOIN charged l ON l.budget_id = b.budget_id) AS b
        WHERE b.used <> b.charged
        """
}
