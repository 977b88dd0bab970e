// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Kernel
package import SystemPackage

/// `sandboxd-init` in a sealed memory file: nobody, not even its user, can change the program that
/// runs inside sandboxes while the daemon is up.
package struct InitProgram: Sendable {
    private static let limit = 1 << 20

    private let file: Descriptor

    /// Reads the program at `path` once.
    package init(path: String) throws(Errno) {
        let source = try Descriptor.open(path, O_RDONLY)
        file = try Descriptor.sealedMemory(
            try source.readAll(limit: Self.limit),
            name: "sandboxd-init"
        )
    }

    /// What to execute, valid in this process and in a child until its execve.
    package var path: String { "/proc/self/fd/\(file.number)" }
}
