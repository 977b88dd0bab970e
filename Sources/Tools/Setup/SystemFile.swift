// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Kernel
internal import SystemPackage

/// A file of `deploy/` that has its place in the system.
struct SystemFile {
    let path: String
    let text: String

    /// Whether the system has exactly this file.
    var isInstalled: Bool {
        // One that cannot be read is not this one.
        (try? KernelFile.read(path)) == text
    }

    /// Puts it there, whole or not at all.
    func install(_ setup: Setup) throws(SetupError) {
        try setup.host("writing \(path)") { () throws(Errno) in
            let new = path + ".sandboxd-new"
            // What an earlier try left, if it left anything.
            unlink(new)
            let file = try Descriptor.open(new, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW)
            do throws(Errno) {
                try file.writeAll(Array(text.utf8))
                _ = try kernel { fchmod(file.number, 0o644) }
                _ = try kernel { rename(new, path) }
            } catch {
                unlink(new)
                throw error
            }
        }
    }

    /// Reads the text of a file that comes with the program.
    static func deployed(_ name: String) throws(SetupError) -> String {
        do throws(Errno) {
            guard let path = try Installation().deployed(name) else { throw .noSuchFileOrDirectory }
            return try KernelFile.read(path)
        } catch {
            throw .notInstalled(name)
        }
    }
}
