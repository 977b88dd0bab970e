// SPDX-License-Identifier: Apache-2.0

/// The ceilings one run lives under.
///
/// Each is enforced by the kernel or by counting bytes. There is no "unlimited": a profile that
/// leaves one out does not load.
package struct Limits: Sendable, Hashable {
    /// Memory of the whole process tree in bytes, page cache and workspace included.
    package var memoryBytes: UInt64

    /// Swap beyond the memory, in bytes. Zero is a cap like any other: no swap at all.
    package var swapBytes: UInt64

    /// Processes and threads alive at once.
    package var pids: UInt32

    /// CPU time per second of wall time, in thousandths of one core: 1500 is a core and a half.
    package var cpuMillicores: UInt32

    /// CPU time, user and system, of the whole process tree together.
    package var cpuTime: Duration

    /// Wall time from `execve` until the tree is killed.
    package var wallTime: Duration

    /// Bytes in the workspace.
    package var workspaceBytes: UInt64

    /// Files, directories and links in the workspace.
    package var workspaceInodes: UInt64

    /// Bytes in `/dev/shm`.
    package var sharedMemoryBytes: UInt64

    /// Bytes kept of each output stream, head and tail together.
    package var outputBytes: UInt64

    /// Bytes read from both output streams together before the run is ended.
    package var outputTotalBytes: UInt64

    /// Bytes of all artifacts together.
    package var artifactBytes: UInt64

    /// How many artifacts are kept.
    package var artifactCount: UInt32

    /// Open descriptors per process.
    package var openFiles: UInt32

    /// Bytes of input, files and standard input together.
    package var inputBytes: UInt64

    /// How many CPUs the job gets to see: those that its share of CPU time can keep busy.
    package var visibleCPUs: Int {
        (Int(cpuMillicores) + 999) / 1000
    }
}

extension Limits {
    /// Builds the limits from the base units of `Limit.Unit`, asking `value` once for each.
    ///
    /// The values must be inside their `Limit.allowed`; one outside is a bug and traps.
    package init<Refusal>(
        asking value: (Limit) throws(Refusal) -> UInt64
    ) throws(Refusal) {
        memoryBytes = try value(.memory)
        swapBytes = try value(.swap)
        pids = UInt32(try value(.pids))
        cpuMillicores = UInt32(try value(.cpu))
        cpuTime = .milliseconds(try value(.cpuTime))
        wallTime = .milliseconds(try value(.wallTime))
        workspaceBytes = try value(.workspace)
        workspaceInodes = try value(.workspaceInodes)
        sharedMemoryBytes = try value(.sharedMemory)
        outputBytes = try value(.output)
        outputTotalBytes = try value(.outputTotal)
        artifactBytes = try value(.artifactBytes)
        artifactCount = UInt32(try value(.artifactCount))
        openFiles = UInt32(try value(.openFiles))
        inputBytes = try value(.inputBytes)
    }

    /// One limit in the base unit of its kind.
    package subscript(limit: Limit) -> UInt64 {
        switch limit {
        case .memory: memoryBytes
        case .swap: swapBytes
        case .pids: UInt64(pids)
        case .cpu: UInt64(cpuMillicores)
        case .cpuTime: cpuTime.wholeMilliseconds
        case .wallTime: wallTime.wholeMilliseconds
        case .workspace: workspaceBytes
        case .workspaceInodes: workspaceInodes
        case .sharedMemory: sharedMemoryBytes
        case .output: outputBytes
        case .outputTotal: outputTotalBytes
        case .artifactBytes: artifactBytes
        case .artifactCount: UInt64(artifactCount)
        case .openFiles: UInt64(openFiles)
        case .inputBytes: inputBytes
        }
    }
}

extension Duration {
    /// The milliseconds that have wholly passed; a negative duration has none.
    var wholeMilliseconds: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        let (product, overflow) = UInt64(seconds).multipliedReportingOverflow(by: 1000)
        let (sum, carry) = product.addingReportingOverflow(
            UInt64(attoseconds) / 1_000_000_000_000_000
        )
        return overflow || carry ? .max : sum
    }
}
