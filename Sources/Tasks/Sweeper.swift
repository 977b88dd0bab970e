// SPDX-License-Identifier: Apache-2.0
internal import Kernel

/// Takes away the leases of workers that are gone. Every node does so, whether or not another does.
package struct Sweeper: Sendable {
    private let queue: TaskQueue
    private var watch = BeatWatch()

    package init(_ queue: TaskQueue) {
        self.queue = queue
    }

    /// Looks once; answers the attempts that it settled. To be called every few seconds.
    package mutating func sweep() async throws(TaskError) -> [LeaseKey] {
        let silent = watch.look(try await queue.pulses(), at: .now)
        return try await queue.sweep(silent: silent)
    }
}
