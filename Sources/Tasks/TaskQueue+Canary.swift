// SPDX-License-Identifier: Apache-2.0
internal import Postgres

/// How work moves between the host and sandboxes.
extension TaskQueue {
    private static let readStatement = Statement(
        "canary",
        "SELECT sandboxd.canary($1) AS json"
    )
    private static let listStatement = Statement(
        "canaries",
        """
        SELECT json_build_object('canaries', coalesce(
            json_agg(sandboxd.canary(c.profile) ORDER BY c.profile), '[]'::json)) AS json
        FROM sandboxd.canaries c
        """
    )
    private static let reportStatement = Statement(
        "canary_report",
        "SELECT sandboxd.canary_report($1, $2::float8) AS json FROM sandboxd.profiles WHERE profile = $1"
    )
    private static let setStatement = Statement(
        "set_canary",
        "SELECT sandboxd.set_canary($1, $2::jsonb) AS moved"
    )
    private static let countStatement = Statement(
        "count_canary",
        "SELECT sandboxd.count_canary($1, $2::int, $3::int, $4::jsonb)"
    )
    private static let noteStatement = Statement(
        "note_comparison",
        "SELECT sandboxd.note_comparison($1::jsonb)"
    )
    private static let compareStatement = Statement(
        "compare_shadows",
        "SELECT sandboxd.compare_shadows() AS compared"
    )
    private static let checkStatement = Statement(
        "check_canaries",
        "SELECT profile, why FROM sandboxd.check_canaries()"
    )
    private static let trippedStatement = Statement(
        "tripped_canaries",
        """
        SELECT profile, tripped_why AS why FROM sandboxd.canaries
        WHERE tripped_at IS NOT NULL ORDER BY profile
        """
    )
    /// One pass over all that waits, however much that is.
    private static let rebucketDeadline = Duration.seconds(120)

    /// A canary that was taken back by itself.
    package struct Trip: Sendable {
        package let profile: String
        /// A sentence.
        package let why: String
    }

    /// One profile's canary, JSON; nil when there is no such profile.
    package func canary(_ profile: String) async throws(TaskError) -> String? {
        try await json(Self.readStatement, [profile])
    }

    /// All canaries that were ever set, JSON.
    package func canaries() async throws(TaskError) -> String {
        try await json(Self.listStatement, []) ?? "{}"
    }

    /// What came of one in the last hours, JSON; nil when there is no such profile.
    package func canaryReport(
        _ profile: String,
        hours: Double
    ) async throws(TaskError) -> String? {
        try await json(Self.reportStatement, [profile, String(hours)])
    }

    /// Changes what `settings`, JSON, names; answers how many waiting tasks changed their pool.
    package func setCanary(_ profile: String, _ settings: String) async throws(TaskError) -> Int {
        let rows = try await ask(
            watch,
            Self.setStatement,
            [profile, settings],
            within: Self.rebucketDeadline
        )
        return try Self.reading { () throws(PostgresError) in try rows.only().int("moved") }
    }

    /// Takes note of runs in sandboxes. `verdicts` is JSON: how many failed with which.
    package func countCanary(
        _ profile: String,
        runs: Int,
        failed: Int,
        verdicts: String
    ) async throws(TaskError) {
        let parameters = [profile, String(runs), String(failed), verdicts]
        _ = try await ask(watch, Self.countStatement, parameters)
    }

    /// Keeps a comparison, JSON as `POST /v1/comparisons` has it.
    package func note(comparison: String) async throws(TaskError) {
        _ = try await ask(watch, Self.noteStatement, [comparison])
    }

    /// Compares tasks with their shadows, and takes back the share of canaries that have gone wrong
    /// too often; answers these.
    package func checkCanaries() async throws(TaskError) -> [Trip] {
        _ = try await ask(watch, Self.compareStatement, [])
        return try Self.trips(
            try await ask(watch, Self.checkStatement, [], within: Self.rebucketDeadline)
        )
    }

    /// The canaries that were taken back and not set again since.
    package func trippedCanaries() async throws(TaskError) -> [Trip] {
        try Self.trips(try await ask(watch, Self.trippedStatement, []))
    }

    private static func trips(_ rows: Rows) throws(TaskError) -> [Trip] {
        try reading { () throws(PostgresError) in
            var trips: [Trip] = []
            for row in rows {
                trips.append(Trip(profile: try row.text("profile"), why: try row.text("why")))
            }
            return trips
        }
    }
}
