// SPDX-License-Identifier: Apache-2.0

/// Names one lease for ever: a task, and the number of the lease among all that it ever had.
package struct LeaseKey: Sendable, Hashable, CustomStringConvertible {
    package let task: Int
    package let fence: Int

    package init(task: Int, fence: Int) {
        self.task = task
        self.fence = fence
    }

    package var description: String { "\(task).\(fence)" }
}

/// A task that is this node's to run.
package struct Lease: Sendable {
    package var key: LeaseKey
    /// From 1; a snoozed attempt's number is used again.
    package var attempt: Int
    /// 32 lower-case hex digits.
    package var attemptID: String
    package var lane: Int
    package var budget: String
    package var profile: String
    /// JSON: what `POST /v1/runs` takes, without the profile.
    package var spec: String
    /// Memory and swap that one attempt reserves on the node, in MiB.
    package var memoryMiB: Int
    /// From the lease, by the server's clock; nil is never.
    package var millisecondsToDeadline: Int?
}

/// What an attempt is charged by.
package struct Charge: Sendable, Hashable {
    package var cpuMilliseconds = 0
    /// Peak memory times wall time, in MiB·s: an upper bound of what was held.
    package var memoryMiBSeconds = 0
    package var wallMilliseconds = 0
    package var egressBytes = 0

    package init() {}

    package init(
        cpuMilliseconds: Double,
        wallMilliseconds: Double,
        memoryPeakBytes: UInt64?,
        memoryLimitBytes: UInt64,
        egressBytes: Int = 0
    ) {
        self.cpuMilliseconds = Int(cpuMilliseconds.rounded(.up))
        self.wallMilliseconds = Int(wallMilliseconds.rounded(.up))
        // A kernel that keeps no peak leaves only the limit to go by.
        let mebibytes = Double(memoryPeakBytes ?? memoryLimitBytes) / 1_048_576
        memoryMiBSeconds = Int((mebibytes * wallMilliseconds / 1000).rounded(.up))
        self.egressBytes = egressBytes
    }
}

/// The end of an attempt, as it is settled.
package struct Completion: Sendable {
    /// Where the charge is from.
    package enum Source: String, Sendable {
        case measured
        /// Counters of a cgroup that outlived its daemon.
        case cgroup
        case heartbeat
        /// Of a lease that came in an answer that was lost: nothing ran.
        case unheard
    }

    package var key: LeaseKey
    /// A verdict's word, or `snoozed`, which gives the task back and does not count.
    package var verdict: String
    package var exitCode: Int?
    package var charge: Charge
    package var source: Source
    /// JSON: everything else that is known.
    package var report: String?

    package init(
        key: LeaseKey,
        verdict: String,
        exitCode: Int? = nil,
        charge: Charge,
        source: Source = .measured,
        report: String? = nil
    ) {
        self.key = key
        self.verdict = verdict
        self.exitCode = exitCode
        self.charge = charge
        self.source = source
        self.report = report
    }
}

/// What became of a completion.
package enum Settlement: Sendable, Hashable {
    /// It counted, and this is the task now.
    case settled(TaskFate)
    /// The lease was somebody else's, or over: it changed nothing.
    case fencedOff
    /// The database did not take it, for this reason. The lease is left to the sweep, which charges
    /// what the last heartbeat said.
    case unsettled(TaskError)
}

/// What a heartbeat brings back.
package struct LeaseOrder: Sendable, Hashable {
    package enum Why: String, Sendable {
        /// The lease is somebody else's.
        case lost
        /// Somebody wants the task to end.
        case cancel
    }

    package var key: LeaseKey
    package var why: Why

    package init(key: LeaseKey, why: Why) {
        self.key = key
        self.why = why
    }
}
