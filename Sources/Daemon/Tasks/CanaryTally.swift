// SPDX-License-Identifier: Apache-2.0
internal import Kernel
internal import Tasks

/// How runs in sandboxes ended, by profile, until the database is told: what a canary's bound goes by.
///
/// It is kept in memory, for an attempt's settlement must not pay for it. What a killed daemon had
/// counted in its last seconds is lost, and a canary that goes wrong goes wrong again.
actor CanaryTally {
    /// One profile's, since the database was told.
    private struct Count {
        var runs = 0
        /// How many failed, by verdict.
        var failed: [String: Int] = [:]
    }

    private var counts: [String: Count] = [:]
    /// The canaries that went wrong, as the database said last.
    private(set) var tripped: [TaskQueue.Trip] = []

    /// Takes note of an attempt. What says nothing of the sandbox is passed over.
    func add(profile: String, verdict: String) {
        guard verdict != "snoozed", verdict != "cancelled" else { return }
        var count = counts[profile] ?? Count()
        count.runs += 1
        if verdict != "ok" { count.failed[verdict, default: 0] += 1 }
        counts[profile] = count
    }

    /// Keeps what the database says of canaries that went wrong, for `status`.
    func remember(_ tripped: [TaskQueue.Trip]) { self.tripped = tripped }

    /// Tells the database. What it does not take is kept for the next time.
    func flush(to queue: TaskQueue) async throws(TaskError) {
        let told = counts
        counts = [:]
        var untold = told
        do throws(TaskError) {
            for (profile, count) in told {
                try await queue.countCanary(
                    profile,
                    runs: count.runs,
                    failed: count.failed.values.reduce(0, +),
                    verdicts: JSONAnswer.text(count.failed)
                )
                untold[profile] = nil
            }
        } catch {
            for (profile, count) in untold {
                counts[profile, default: Count()].runs += count.runs
                counts[profile]?.failed.merge(count.failed, uniquingKeysWith: +)
            }
            throw error
        }
    }
}
