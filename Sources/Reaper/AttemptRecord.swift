// SPDX-License-Identifier: Apache-2.0
internal import Glibc
package import Tasks

/// What a daemon writes down of an attempt before its job may start, so that the next daemon knows
/// what to settle, and what the janitor adds: the counters of the cgroup, which goes with them.
///
/// A file of lines. The first is the daemon's: task, fence, and when, in milliseconds of the wall
/// clock. The others are a counter's file and its first line.
package struct AttemptRecord: Sendable, Hashable {
    package var key: LeaseKey
    /// From the record's making to its last change, which is the attempt's death.
    package var wallMilliseconds: Int
    /// nil where nobody could read the cgroup any more.
    package var cpuMicroseconds: UInt64?
    package var memoryPeakBytes: UInt64?

    /// Reads a record; nil when it is none. `changed` is the file's time of change, in milliseconds.
    package init?(_ text: String, changed: Int) {
        var lines = text.split(separator: "\n")[...]
        guard let first = lines.popFirst() else { return nil }
        let numbers = first.split(separator: " ").compactMap { Int($0) }
        guard numbers.count == 3 else { return nil }
        key = LeaseKey(task: numbers[0], fence: numbers[1])
        // The wall clock may have been set back meanwhile.
        wallMilliseconds = max(0, changed - numbers[2])
        for line in lines {
            let words = line.split(separator: " ")
            guard words.count >= 2, let number = UInt64(words[words.count - 1]) else { continue }
            switch (words[0], words[1]) {
            case ("cpuacct.usage", _): cpuMicroseconds = number / 1000
            case ("cpu.stat", "usage_usec"): cpuMicroseconds = number
            case ("memory.max_usage_in_bytes", _), ("memory.peak", _): memoryPeakBytes = number
            default: continue
            }
        }
    }

    /// The record's first line.
    static func line(_ key: LeaseKey, milliseconds: Int) -> String {
        "\(key.task) \(key.fence) \(milliseconds)\n"
    }

    /// The proof of the teardown, as a report has it. The janitor adds counters only when it could
    /// remove the cgroup, which the kernel allows when no process is left in it; with the last process
    /// of an attempt its namespaces go.
    private static let receipt = """
        {"receipt":{"clean":true,"init_dead":true,"processes_left":0,"cgroup_removed":true,\
        "namespaces_released":true,"problems":[]}}
        """

    /// How the attempt is settled; nil when only a heartbeat can tell what it used.
    package var completion: Completion? {
        guard let cpuMicroseconds else { return nil }
        return Completion(
            key: key,
            verdict: "lease_lost",
            charge: Charge(
                cpuMilliseconds: Double(cpuMicroseconds) / 1000,
                wallMilliseconds: Double(wallMilliseconds),
                memoryPeakBytes: memoryPeakBytes,
                memoryLimitBytes: 0
            ),
            source: .cgroup,
            report: Self.receipt
        )
    }
}
