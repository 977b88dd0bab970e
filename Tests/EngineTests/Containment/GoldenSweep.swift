// SPDX-License-Identifier: Apache-2.0
import Foundation

/// What a sweep printed once, and was read by a person.
struct GoldenSweep {
    let profile: String
    let name: String

    /// Whether to write the files anew instead of comparing: `SANDBOXD_RECORD_GOLDEN=1`.
    static let isRecording = ProcessInfo.processInfo.environment["SANDBOXD_RECORD_GOLDEN"] == "1"

    private var path: String { Host.sources + "/../Probes/golden/\(profile).\(name).txt" }

    func read() throws -> SyscallSweep {
        SyscallSweep(text: try String(contentsOfFile: path, encoding: .utf8))
    }

    func record(_ bytes: [UInt8]) throws {
        let head = """
            # What each system call answers under the profile '\(profile)': number and word.
            # Recorded in a sandbox (SANDBOXD_RECORD_GOLDEN=1); a change is a review.
            # 335 and 336 are uretprobe and uprobe, which the kernel lets past every filter and
            # which do nothing for a caller that is not in a probe; older kernels have neither.

            """
        try FileManager.default.createDirectory(
            atPath: Host.sources + "/../Probes/golden",
            withIntermediateDirectories: true
        )
        try (Data(head.utf8) + Data(bytes)).write(to: URL(filePath: path))
    }
}
