// SPDX-License-Identifier: Apache-2.0

/// The limits that one request wants smaller than its profile has them.
package struct Tightening: Sendable, Hashable {
    /// Memory of the whole process tree, in bytes.
    package var memoryBytes: UInt64?
    /// Swap beyond the memory, in bytes.
    package var swapBytes: UInt64?
    /// Processes and threads alive at once.
    package var pids: UInt32?
    /// CPU time per second of wall time, in thousandths of one core.
    package var cpuMillicores: UInt32?
    /// CPU time of the whole process tree; a part of a millisecond is dropped.
    package var cpuTime: Duration?
    /// Wall time; a part of a millisecond is dropped.
    package var wallTime: Duration?
    /// Bytes in the workspace.
    package var workspaceBytes: UInt64?
    /// Files, directories and links in the workspace.
    package var workspaceInodes: UInt64?
    /// Bytes in `/dev/shm`.
    package var sharedMemoryBytes: UInt64?
    /// Bytes kept of each output stream.
    package var outputBytes: UInt64?
    /// Bytes read from both output streams before the run is ended.
    package var outputTotalBytes: UInt64?
    /// Bytes of all artifacts together.
    package var artifactBytes: UInt64?
    /// How many artifacts are kept.
    package var artifactCount: UInt32?
    /// Open descriptors per process.
    package var openFiles: UInt32?
    /// Bytes of input.
    package var inputBytes: UInt64?

    /// Asks for nothing.
    package init() {}

    /// What is asked of one limit, in the base unit of its kind.
    subscript(limit: Limit) -> UInt64? {
        switch limit {
        case .memory: memoryBytes
        case .swap: swapBytes
        case .pids: pids.map(UInt64.init)
        case .cpu: cpuMillicores.map(UInt64.init)
        case .cpuTime: cpuTime?.wholeMilliseconds
        case .wallTime: wallTime?.wholeMilliseconds
        case .workspace: workspaceBytes
        case .workspaceInodes: workspaceInodes
        case .sharedMemory: sharedMemoryBytes
        case .output: outputBytes
        case .outputTotal: outputTotalBytes
        case .artifactBytes: artifactBytes
        case .artifactCount: artifactCount.map(UInt64.init)
        case .openFiles: openFiles.map(UInt64.init)
        case .inputBytes: inputBytes
        }
    }
}
