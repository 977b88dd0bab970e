// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import SystemPackage

/// An open descriptor that is closed when its owner ends.
struct Descriptor: ~Copyable {
    let fd: Int32

    /// Takes over `fd`.
    init(owning fd: Int32) {
        self.fd = fd
    }

    /// Opens `path`, close-on-exec.
    init(
        _ path: FilePath,
        _ flags: Int32,
        mode: mode_t = 0,
        doing: String = "open"
    ) throws(ImageError) {
        fd = try system(doing, path) { open($0, flags | O_CLOEXEC, mode) }
    }

    deinit {
        // Nothing can be done about a failure: Linux lets go of the descriptor in any case.
        _ = close(fd)
    }
}
