// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc
internal import Kernel
internal import SystemPackage

/// A program of the host: found in the system's directories, whatever the caller's PATH says.
struct HostTool {
    /// How a program ended, and what it said.
    struct Outcome {
        /// 0 for success; for one that was killed, 128 and the signal.
        let status: Int32
        /// The beginning of its output and errors.
        let output: String
        /// The last thing it said, which is mostly why it failed.
        var lastLine: String { output.split(separator: "\n").last.map(String.init) ?? "" }
    }

    private static let directories = [
        "/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/bin", "/bin",
    ]
    private static let outputLimit = 4096

    let path: String

    /// Finds it; nil when it is not installed.
    init?(_ name: String) {
        let candidates = Self.directories.map { $0 + "/" + name }
        guard let path = candidates.first(where: { access($0, X_OK) == 0 }) else { return nil }
        self.path = path
    }

    /// Runs it to its end. Only for programs that end by themselves.
    func run(_ arguments: [String]) throws(Errno) -> Outcome {
        let output = try Descriptor.memory([], name: "output")
        let status = try kernel {
            ArgumentVector.with([path] + arguments) { clx_run(path, $0, output.number) }
        }
        _ = try kernel { lseek(output.number, 0, SEEK_SET) }
        let signal = status & 0x7f
        return Outcome(
            status: signal == 0 ? (status >> 8) & 0xff : 128 + signal,
            output: String(decoding: try output.readAll(limit: Self.outputLimit), as: UTF8.self)
        )
    }
}
