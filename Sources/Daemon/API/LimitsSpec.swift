// SPDX-License-Identifier: Apache-2.0
internal import Policy

/// Limits that a run asks for, below its profile's.
struct LimitsSpec: Decodable, Sendable {
    private static let keys = [
        "memory_bytes", "swap_bytes", "pids", "cpu_millicores", "cpu_time_ms", "wall_time_ms",
        "workspace_bytes", "workspace_inodes", "shared_memory_bytes", "output_bytes",
        "output_total_bytes", "artifact_bytes", "artifact_count", "open_files",
    ]

    var tightening = Tightening()

    init() {}

    init(from decoder: any Decoder) throws {
        let body = try decoder.strictContainer("'limits'", Self.keys)
        func milliseconds(_ name: String) throws -> Duration? {
            let count: UInt64? = try body.number(name)
            return count.map { .milliseconds(Int64(clamping: $0)) }
        }
        tightening.memoryBytes = try body.number("memory_bytes")
        tightening.swapBytes = try body.number("swap_bytes")
        tightening.pids = try body.number("pids")
        tightening.cpuMillicores = try body.number("cpu_millicores")
        tightening.cpuTime = try milliseconds("cpu_time_ms")
        tightening.wallTime = try milliseconds("wall_time_ms")
        tightening.workspaceBytes = try body.number("workspace_bytes")
        tightening.workspaceInodes = try body.number("workspace_inodes")
        tightening.sharedMemoryBytes = try body.number("shared_memory_bytes")
        tightening.outputBytes = try body.number("output_bytes")
        tightening.outputTotalBytes = try body.number("output_total_bytes")
        tightening.artifactBytes = try body.number("artifact_bytes")
        tightening.artifactCount = try body.number("artifact_count")
        tightening.openFiles = try body.number("open_files")
    }
}
