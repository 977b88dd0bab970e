// SPDX-License-Identifier: Apache-2.0

/// The name of one limit, as profiles write it.
///
/// It carries what reading, tightening and printing a limit have in common: its unit, and the
/// values that make sense. A value outside is a slip of the pen rather than a wish.
package enum Limit: String, Sendable, Hashable, CaseIterable {
    case memory
    case swap
    case pids
    case cpu
    case cpuTime = "cpu_time"
    case wallTime = "wall_time"
    case workspace
    case workspaceInodes = "workspace_inodes"
    case sharedMemory = "shared_memory"
    case output
    case outputTotal = "output_total"
    case artifactBytes = "artifact_bytes"
    case artifactCount = "artifact_count"
    case openFiles = "open_files"
    case inputBytes = "input_bytes"

    /// What a limit is counted in, and how it is written.
    package enum Unit: Sendable, Hashable {
        /// Bytes; written `512MiB`.
        case bytes
        /// Things; written `128`.
        case count
        /// Thousandths of a core; written in cores, `1.5`.
        case millicores
        /// Milliseconds; written `30s`.
        case milliseconds
    }

    /// What this limit is counted in.
    package var unit: Unit {
        switch self {
        case .pids, .workspaceInodes, .artifactCount, .openFiles: .count
        case .cpu: .millicores
        case .cpuTime, .wallTime: .milliseconds
        case .memory, .swap, .workspace, .sharedMemory, .output, .outputTotal, .artifactBytes,
            .inputBytes:
            .bytes
        }
    }

    /// The values that a profile or a request may ask for, in `unit`.
    ///
    /// The floors are what a job needs to start at all, and what the kernel can enforce: a CPU
    /// quota is at least a millisecond in a hundred. The ceilings hold for the largest machine we
    /// can think of, but for `pids`, where they are the kernel's own default for all processes
    /// together, and `output`, which the daemon holds in its memory.
    package var allowed: ClosedRange<UInt64> {
        switch self {
        case .memory: 16 * .mebibyte...4 * .tebibyte
        case .swap: 0...4 * .tebibyte
        case .pids: 2...32_768
        case .cpu: 10...1_024_000
        case .cpuTime, .wallTime: 100...604_800_000
        case .workspace: .mebibyte...4 * .tebibyte
        case .workspaceInodes: 16...16_777_216
        case .sharedMemory: 64 * .kibibyte...4 * .tebibyte
        case .output: .kibibyte...64 * .mebibyte
        case .outputTotal: .kibibyte...4 * .tebibyte
        case .artifactBytes: .kibibyte...4 * .tebibyte
        case .artifactCount: 1...65_536
        case .openFiles: 16...1_048_576
        case .inputBytes: .kibibyte...4 * .gibibyte
        }
    }

    /// A value in `unit` as a person would write it in a profile.
    package func written(_ value: UInt64) -> String {
        switch unit {
        case .bytes: ByteSize.written(value)
        case .count: String(value)
        case .millicores: Cores.written(value)
        case .milliseconds: TimeSpan.written(value)
        }
    }

    /// The value that `text` asks for, in `unit`.
    func value(of text: String) throws(MalformedQuantity) -> UInt64 {
        switch unit {
        case .bytes: try ByteSize.value(of: text)
        case .count: try Count.value(of: text)
        case .millicores: try Cores.value(of: text)
        case .milliseconds: try TimeSpan.value(of: text)
        }
    }
}

extension UInt64 {
    static let kibibyte: UInt64 = 1 << 10
    static let mebibyte: UInt64 = 1 << 20
    static let gibibyte: UInt64 = 1 << 30
    static let tebibyte: UInt64 = 1 << 40
}
