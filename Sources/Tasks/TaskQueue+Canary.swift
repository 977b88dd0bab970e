// SPDX-License-Identifier: Apache-2.0
package import Kernel
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
        "SELECT sandboxd.set_canary($1, $2::jsonb)"
    )
    private static let rebucketStatement = Statement(
        "rebucket",
        "SELECT is_left, is_busy FROM sandboxd.rebucket()"
    )
    private static let movedStatement = Statement(
        "canary_moved",
        """
        SELECT coalesce(sum(moved), 0)::bigint AS moved FROM sandboxd.canary_moves
        WHERE profile = $1
        """
    )
    private static let countStatement = Statement(
        "count_canaries",
        """
        SELECT sandboxd.count_canaries($1::text[], $2::text[], $3::int[], $4::float8[],
            $5::timestamptz)
        """
    )
    private static let clockStatement = Statement(
        "clock",
        "SELECT clock_timestamp()::text AS moment"
    )
    private static let noteStatement = Statement(
        "note_comparison",
        "SELECT sandboxd.note_comparison($1::jsonb)"
    )
    private static let compareStatement = Statement(
        "compare_shadows",
        "SELECT next FROM sandboxd.compare_shadows($1)"
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
    /// How many thousands of waiting tasks are looked at before who sets a percentage is answered.
    private static let movesOfSetter = 2000
    /// The same for one round of upkeep, which has other things to do: less than two seconds.
    private static let movesOfUpkeep = 40

    /// How long who moves lets another go first.
    private static let turn = Duration.milliseconds(50)

    /// A canary that was taken back by itself.
    package struct Trip: Sendable {
        package let profile: String
        /// A sentence.
        package let why: String
    }

    /// Runs of one profile in sandboxes that ended with the same verdict.
    package struct Endings: Sendable {
        package let profile: String
        package let verdict: String
        package let runs: Int
        /// When the first of them did.
        package let began: Instant

        package init(profile: String, verdict: String, runs: Int, began: Instant) {
            (self.profile, self.verdict, self.runs, self.began) = (profile, verdict, runs, began)
        }
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

    /// Changes what `settings`, JSON, names; answers how many waiting tasks have changed pools.
    ///
    /// With the first of many short statements the change stands, and from then on no lease takes a
    /// task by what was before; the others move what waits. What they leave, upkeep moves.
    package func setCanary(_ profile: String, _ settings: String) async throws(TaskError) -> Int {
        _ = try await ask(watch, Self.setStatement, [profile, settings])
        // Refused or lost, it is no reason to call the change refused: upkeep goes on.
        try? await moveWaiting(atMost: Self.movesOfSetter)
        let rows = try await ask(watch, Self.movedStatement, [profile])
        return try Self.reading { () throws(PostgresError) in try rows.only().int("moved") }
    }

    /// Moves what waits to where it belongs by now, in so many statements that are short each, or
    /// fewer when nothing is left or the task is cancelled.
    private func moveWaiting(atMost steps: Int) async throws(TaskError) {
        for _ in 0..<steps {
            if Task.isCancelled { return }
            let rows = try await ask(watch, Self.rebucketStatement, [])
            let (isLeft, isBusy) = try Self.reading { () throws(PostgresError) in
                let row = try rows.only()
                return (try row.bool("is_left"), try row.bool("is_busy"))
            }
            guard isLeft else { return }
            // Another node moves. Cancelled: the loop sees it.
            if isBusy { try? await Task.sleep(for: Self.turn) }
        }
    }

    /// Takes note of runs in sandboxes.
    ///
    /// The database's clock is asked first: however long what follows takes to arrive, a run is never
    /// reckoned to have begun later than it did.
    package func count(_ endings: [Endings]) async throws(TaskError) {
        let rows = try await ask(watch, Self.clockStatement, [])
        let now = Instant.now
        let moment = try Self.reading { () throws(PostgresError) in
            try rows.only().text("moment")
        }
        let parameters = [
            ArrayLiteral.text(endings.map(\.profile)), ArrayLiteral.text(endings.map(\.verdict)),
            ArrayLiteral.integers(endings.map(\.runs)),
            ArrayLiteral.text(endings.map { String(now.milliseconds(since: $0.began)) }), moment,
        ]
        _ = try await ask(watch, Self.countStatement, parameters)
    }

    /// Keeps a comparison, JSON as `POST /v1/comparisons` has it.
    package func note(comparison: String) async throws(TaskError) {
        _ = try await ask(watch, Self.noteStatement, [comparison])
    }

    /// Compares some thousands of tasks with their shadows, those after the task `place`; answers the
    /// place for the next call. The first is 0.
    package func compareShadows(after place: Int) async throws(TaskError) -> Int {
        let rows = try await ask(watch, Self.compareStatement, [String(place)])
        return try Self.reading { () throws(PostgresError) in try rows.only().int("next") }
    }

    /// Takes back the share of canaries that have gone wrong too often, and moves what waits and
    /// belongs elsewhere by now; answers what was taken back.
    package func checkCanaries() async throws(TaskError) -> [Trip] {
        let trips = try Self.trips(try await ask(watch, Self.checkStatement, []))
        // What was taken back must be told, whatever becomes of this; the next call goes on.
        try? await moveWaiting(atMost: Self.movesOfUpkeep)
        return trips
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
