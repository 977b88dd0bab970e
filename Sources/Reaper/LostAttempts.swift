// SPDX-License-Identifier: Apache-2.0
package import Tasks

/// Settles what an earlier daemon of this node left, by what its cgroups counted.
package enum LostAttempts {
    /// Settles the attempts that are on record; answers those that counted. What has no counters is
    /// left to the sweep, which charges by the last heartbeat. Throws when the database cannot be
    /// used; then the records stay.
    package static func settle(
        _ records: AttemptRecords,
        in queue: TaskQueue
    ) async throws(TaskError) -> [LeaseKey] {
        let lost = records.lost()
        let completions = lost.compactMap(\.record.completion)
        var counted: [LeaseKey] = []
        if !completions.isEmpty {
            // Worker 0: nobody's. The fence alone decides.
            let settlements = try await queue.settle(worker: 0, completions)
            counted = settlements.filter { $0.value != .fencedOff }.keys.sorted {
                ($0.task, $0.fence) < ($1.task, $1.fence)
            }
        }
        for (_, file) in lost { records.forget(file) }
        return counted
    }
}
