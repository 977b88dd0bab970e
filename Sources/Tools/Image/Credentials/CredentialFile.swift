// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Kernel
internal import SystemPackage

/// A file with credentials that nobody else can read: one that is named by its path, or one that
/// systemd passes by its name.
struct CredentialFile {
    private static let byteLimit = 1 << 16

    /// What errors call it.
    let path: String
    private let isFromSystemd: Bool

    /// `text` is a path when it has a slash in it, else the name of a credential of systemd's.
    init(_ text: String, environment: [String: String]) throws(CredentialError) {
        guard !text.contains("/") else {
            path = text
            isFromSystemd = false
            return
        }
        guard !text.isEmpty, text != ".", text != "..", !text.utf8.contains(0) else {
            throw .malformedName(text)
        }
        guard let directory = environment["CREDENTIALS_DIRECTORY"], directory.hasPrefix("/") else {
            throw .noDirectory(name: text)
        }
        path = directory + "/" + text
        isFromSystemd = true
    }

    /// Its bytes. What is checked is the file that is read, whatever the path leads to later.
    func read() throws(CredentialError) -> [UInt8] {
        var status = stat()
        let file: Descriptor
        do throws(Errno) {
            // Nobody waits for a FIFO to be opened, and a link of somebody's is not followed.
            file = try Descriptor.open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
            _ = try kernel { fstat(file.number, &status) }
        } catch .tooManySymbolicLinkLevels {
            throw .exposed(path: path, problem: "it is a link: name the file itself")
        } catch {
            throw .unreadable(path: path, error)
        }
        try check(status)
        do throws(Errno) {
            let bytes = try file.readAll(limit: Self.byteLimit + 1)
            guard bytes.count <= Self.byteLimit else { throw Errno.fileTooLarge }
            return bytes
        } catch {
            throw .unreadable(path: path, error)
        }
    }

    private func check(_ status: stat) throws(CredentialError) {
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw .exposed(path: path, problem: "it is no regular file")
        }
        guard status.st_uid == geteuid() || status.st_uid == 0 else {
            throw .exposed(
                path: path,
                problem: "it belongs to user \(status.st_uid): give it to yourself or to root"
            )
        }
        // For a unit's user, systemd gives root's file an access control list, whose mask shows
        // where a group's rights would be.
        let others: mode_t = isFromSystemd ? 0o037 : 0o077
        guard status.st_mode & others == 0 else {
            throw .exposed(path: path, problem: "others may use it: run 'chmod 0600 \(path)'")
        }
    }
}
