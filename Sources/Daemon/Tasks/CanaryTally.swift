// SPDX-License-Identifier: Apache-2.0
internal import Kernel
internal import Tasks

/// How runs in sandboxes ended, by profile, until the database is told: what a canary's bound goes by.
///
/// It is kept in memory, for an attempt's settlement must not pay for it. What a killed daemon had
/// counted in its last seconds is lost, and a canary that goes wrong goes wrong again.
actor CanaryTally {
    /// Runs of a profile that began in the same second.
    private struct Cohort: Hashable {
        let profile: String
        let second: UInt64
    }

    /// One cohort's, since the database was told.
    private struct Count {
        var runs = 0
        /// How many failed, by verdict.
        var failed: [String: Int] = [:]
        /// When the first of them began.
        var began: Instant
    }

    private var counts: [Cohort: Count] = [:]
    /// The canaries that went wrong, as the database said last.
    private(set) var tripped: [TaskQueue.Trip] = []

    /// Takes note of an attempt, by when it began, for a canary goes by those since it was set. What
    /// says nothing of the sandbox is passed over.
    func add(profile: String, verdict: String, began: Instant) {
        guard verdict != "snoozed", verdict != "cancelled" else { return }
        let cohort = Cohort(profile: profile, second: began.nanoseconds / 1_000_000_000)
        var count = counts[cohort] ?? Count(began: began)
        count.runs += 1
        if verdict != "ok" { count.failed[verdict, default: 0] += 1 }
        count.began = min(count.began, began)
        counts[cohort] = count
    }

    /// Keeps what the database says of canaries that went wrong, for `status`.
    func remember(_ tripped: [TaskQueue.Trip]) { self.tripped = tripped }

    /// Tells the database. What it does not take is kept for the next time.
    func flush(to queue: TaskQueue) async throws(TaskError) {
        let told = counts
        counts = [:]
        var untold = told
        do throws(TaskError) {
            for (cohort, count) in told {
                try await queue.countCanary(
                    cohort.profile,
                    runs: count.runs,
                    failed: count.failed.values.reduce(0, +),
                    verdicts: JSONAnswer.text(count.failed),
                    age: Instant.now.milliseconds(since: count.began)
                )
                untold[cohort] = nil
            }
        } catch {
            for (cohort, count) in untold {
                var sum = counts[cohort] ?? Count(began: count.began)
                sum.runs += count.runs
                sum.failed.merge(count.failed, uniquingKeysWith: +)
                sum.began = min(sum.began, count.began)
                counts[cohort] = sum
            }
            throw error
        }
    }
}
