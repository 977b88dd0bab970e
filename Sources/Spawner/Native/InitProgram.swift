// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Kernel
package import SystemPackage

/// `sandboxd-init` in a sealed memory file: nobody, not even its user, can change the program that
/// runs inside sandboxes while the daemon is up.
package struct InitProgram: Sendable {
    private static let limit = 1 << 20

    private let file: Descriptor
    /// The program itself, for a place that takes no descriptor.
    package let bytes: [UInt8]

    /// Reads the program at `path` once.
    package init(path: String) throws(Errno) {
        let source = try Descriptor.open(path, O_RDONLY)
        bytes = try source.readAll(limit: Self.limit)
        file = try Descriptor.sealedMemory(bytes, name: "sandboxd-init")
    }

    /// What to execute, valid in this process and in a child until its execve.
    package var path: String { "/proc/self/fd/\(file.number)" }
}
