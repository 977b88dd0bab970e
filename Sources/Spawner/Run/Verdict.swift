// SPDX-License-Identifier: Apache-2.0

/// How an attempt ended: one word, from what the kernel counted, never from a guess.
package enum Verdict: Sendable, Hashable {
    /// Exit status 0.
    case ok
    /// The job's own exit status, not 0.
    case exit(Int32)
    /// The job's first process was killed by a signal that nobody here sent.
    case signal(Int32)
    /// The memory cap.
    case oom
    /// The deadline.
    case wallTime
    /// The CPU time cap.
    case cpuTime
    /// The cap on processes and threads.
    case pids
    /// The cap on bytes written to standard output and error.
    case output
    /// The job failed, and its workspace is full.
    case disk
    /// Killed by the system call filter.
    case seccomp
    /// Somebody wanted it to end.
    case cancelled
    /// The node's right to this attempt was lost: its task is somebody else's now.
    case leaseLost
    /// Nothing ran, or what ran was lost: ours or the host's fault.
    case engineError

    /// The word in the API.
    package var word: String {
        switch self {
        case .ok: "ok"
        case .exit: "exit"
        case .signal: "signal"
        case .oom: "oom"
        case .wallTime: "wall_time"
        case .cpuTime: "cpu_time"
        case .pids: "pids"
        case .output: "output"
        case .disk: "disk"
        case .seccomp: "seccomp"
        case .cancelled: "cancelled"
        case .leaseLost: "lease_lost"
        case .engineError: "engine_error"
        }
    }
}

/// One thing that proves a verdict: a counter, a limit, a reason.
package struct Evidence: Sendable, Hashable {
    /// What kind of value it is.
    package enum Value: Sendable, Hashable {
        case number(UInt64)
        case text(String)
    }

    package var name: String
    package var value: Value

    package init(_ name: String, _ value: UInt64) {
        self.name = name
        self.value = .number(value)
    }

    package init(_ name: String, _ value: String) {
        self.name = name
        self.value = .text(value)
    }
}
