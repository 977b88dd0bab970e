// SPDX-License-Identifier: Apache-2.0
internal import Kernel
internal import Tasks

/// How runs in sandboxes ended, until the database is told: what a canary's bound goes by.
///
/// It is kept in memory, for an attempt's settlement must not pay for it. What a killed daemon had
/// counted in its last seconds, or was running, is lost, and a canary that goes wrong goes wrong again.
actor CanaryTally {
    /// What says nothing of the sandbox: it was called off, or the database was away for too long.
    private static let passedOver: Set = ["snoozed", "cancelled", "lease_lost"]

    /// Runs that began in the same second and ended in the same way. If a canary was set in that very
    /// second, none of them counts for it.
    private struct Cohort: Hashable {
        let profile: String
        let verdict: String
        let second: UInt64
    }

    private struct Count {
        var runs = 0
        /// When the first of them did.
        var began: Instant
    }

    /// Since the database was told.
    private var counts: [Cohort: Count] = [:]
    /// The canaries that went wrong, as the database said last.
    private(set) var tripped: [TaskQueue.Trip] = []

    /// Takes note of an attempt, by when it began, for a canary goes by those since it was set.
    func add(profile: String, verdict: String, began: Instant) {
        guard !Self.passedOver.contains(verdict) else { return }
        let second = began.nanoseconds / 1_000_000_000
        let cohort = Cohort(profile: profile, verdict: verdict, second: second)
        add(Count(runs: 1, began: began), to: cohort)
    }

    private func add(_ count: Count, to cohort: Cohort) {
        var sum = counts[cohort] ?? Count(began: count.began)
        sum.runs += count.runs
        sum.began = min(sum.began, count.began)
        counts[cohort] = sum
    }

    /// Keeps what the database says of canaries that went wrong, for `status`.
    func remember(_ tripped: [TaskQueue.Trip]) { self.tripped = tripped }

    /// Tells the database. What it does not take is kept for the next time.
    func flush(to queue: TaskQueue) async throws(TaskError) {
        guard !counts.isEmpty else { return }
        let told = counts
        counts = [:]
        let endings = told.map { cohort, count in
            TaskQueue.Endings(
                profile: cohort.profile,
                verdict: cohort.verdict,
                runs: count.runs,
                began: count.began
            )
        }
        do throws(TaskError) { try await queue.count(endings) } catch {
            for (cohort, count) in told { add(count, to: cohort) }
            throw error
        }
    }
}
