// SPDX-License-Identifier: Apache-2.0

/// What one attempt used, as the kernel counted it.
package struct Usage: Sendable, Hashable {
    /// All CPU time; user and system are its two parts.
    package var cpuMilliseconds: Double = 0
    package var cpuUserMilliseconds: Double = 0
    package var cpuSystemMilliseconds: Double = 0
    /// nil where the kernel does not keep it.
    package var memoryPeakBytes: UInt64?
    /// Processes and threads alive at once, without init; nil where the kernel does not keep it.
    package var pidsPeak: UInt64?
    /// From the gate to the death of the last process.
    package var wallMilliseconds: Double = 0
    package var outputKeptBytes: UInt64 = 0
    package var outputDroppedBytes: UInt64 = 0
    /// In the workspace at the end.
    package var workspaceBytes: UInt64 = 0
    package var workspaceInodes: UInt64 = 0
    /// Through the gateway, both ways together.
    package var egressBytes: UInt64 = 0

    package init() {}
}

/// Where the time went, in milliseconds.
package struct Timing: Sendable, Hashable {
    /// From the request's arrival at the engine to the gate's opening.
    package var setup: Double = 0
    /// From the gate to the job's end.
    package var run: Double = 0
    /// From there until nothing was left.
    package var teardown: Double = 0
    package var total: Double = 0

    package init() {}
}

/// The proof of a teardown: what was looked at, and what was left of it.
package struct Receipt: Sendable, Hashable {
    /// Whether init, and with it every process of its PID namespace, is dead (its pidfd says so).
    package var initDead = false
    /// Processes still in the cgroup; 0 is the proof, nil is "could not be read".
    package var processesLeft: UInt64?
    /// Whether the cgroup's directories are gone.
    package var cgroupRemoved = false
    /// Whether the mount, network, IPC and UTS namespaces and the workspace, which only lived in
    /// init's namespaces, went with it. They do when `initDead` and no process is left.
    package var namespacesReleased = false
    /// Whether the engine no longer knows the container; nil where there was none.
    package var containerRemoved: Bool?
    /// What went wrong, when something did.
    package var problems: [String] = []

    /// Whether nothing is left.
    package var isClean: Bool {
        initDead && processesLeft == 0 && cgroupRemoved && namespacesReleased
            && containerRemoved != false && problems.isEmpty
    }

    package init() {}
}

/// A file from `/workspace/out` that was kept.
package struct Artifact: Sendable, Hashable {
    /// Below `/workspace/out`: bytes, not necessarily text.
    package var path: [UInt8]
    package var bytes: UInt64
    package var mode: UInt32
    /// Lower-case hex.
    package var sha256: String
}

/// Something in `/workspace/out` that was not kept, and why.
package struct RefusedArtifact: Sendable, Hashable {
    /// The reasons, as the API words them.
    package enum Reason: String, Sendable {
        case symlink
        case notRegular = "not_regular"
        case bytes
        case count
        case name
        case depth
        case unreadable
        case store
    }

    package var path: [UInt8]
    package var bytes: UInt64
    package var reason: Reason
}

/// What was kept of one output stream.
package struct KeptOutput: Sendable, Hashable {
    /// The beginning.
    package var head: [UInt8] = []
    /// The end, when something between was dropped.
    package var tail: [UInt8] = []
    /// How much was dropped between them.
    package var droppedBytes: UInt64 = 0

    package init() {}

    /// What is kept from `offset` of the stream on: where it really begins, for what was dropped is
    /// gone, and the bytes up to the next gap.
    package func piece(from offset: UInt64) -> (offset: UInt64, bytes: [UInt8]) {
        if offset < UInt64(head.count) { return (offset, Array(head[Int(offset)...])) }
        let tailOffset = UInt64(head.count) + droppedBytes
        let start = max(offset, tailOffset)
        return (start, Array(tail.dropFirst(Int(clamping: start - tailOffset))))
    }

    /// The same with no more than `limit` bytes of beginning and end together.
    package func trimmed(to limit: Int) -> KeptOutput {
        let all = head.count + tail.count
        guard all > limit else { return self }
        var kept = KeptOutput()
        kept.head = Array(head.prefix(limit / 2))
        let end = tail.isEmpty ? head[...].dropFirst(kept.head.count) : tail[...]
        kept.tail = Array(end.suffix(limit - limit / 2))
        kept.droppedBytes = droppedBytes + UInt64(all - kept.head.count - kept.tail.count)
        return kept
    }
}

/// Everything that is known of an attempt once nothing of it is left.
package struct RunResult: Sendable {
    package var attempt: AttemptID
    package var profile: String
    package var engine: String
    package var imageDigest: String
    package var verdict: Verdict = .engineError
    package var evidence: [Evidence] = []
    package var usage = Usage()
    package var timing = Timing()
    package var receipt = Receipt()
    package var artifacts: [Artifact] = []
    package var refusedArtifacts: [RefusedArtifact] = []
    /// What it reached through its gateway, or tried to.
    package var reached: [Reached] = []
    /// System calls that were refused, or only seen, where the request asked for a witness.
    package var calls: [SeenCall] = []
    /// Calls for which there was no more room among them.
    package var unrecordedCalls: UInt64 { calls.last?.unrecorded ?? 0 }
    package var output = KeptOutput()
    package var errorOutput = KeptOutput()
}
