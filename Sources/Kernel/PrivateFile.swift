// SPDX-License-Identifier: Apache-2.0
internal import Glibc
package import SystemPackage

/// A file with a secret, which nobody else may be able to read.
package enum PrivateFile {
    /// Why it is not used. Nothing of what it holds is in it.
    package enum Refusal: Error, Hashable, Sendable, CustomStringConvertible {
        /// There is no such file, or it cannot be read.
        case unreadable(Errno)
        /// Somebody else could read or write it, or it is no plain file.
        case exposed(String)

        package var description: String {
            switch self {
            case .unreadable(let code): "it cannot be read: \(code)"
            case .exposed(let problem): problem
            }
        }
    }

    /// Its bytes, at most `limit`. What is checked is the file that is read, whatever the path leads
    /// to later. `isFromSystemd`: it lies in a unit's directory of credentials, where systemd gives
    /// root's file an access control list, whose mask shows where a group's rights would be.
    package static func read(
        _ path: String,
        limit: Int,
        isFromSystemd: Bool
    ) throws(Refusal) -> [UInt8] {
        var status = stat()
        let file: Descriptor
        do throws(Errno) {
            // Nobody waits for a FIFO to be opened, and a link of somebody's is not followed.
            file = try Descriptor.open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
            _ = try kernel { fstat(file.number, &status) }
        } catch .tooManySymbolicLinkLevels {
            throw .exposed("it is a link: name the file itself")
        } catch {
            throw .unreadable(error)
        }
        try check(status, path, isFromSystemd)
        do throws(Errno) {
            let bytes = try file.readAll(limit: limit + 1)
            guard bytes.count <= limit else { throw Errno.fileTooLarge }
            return bytes
        } catch {
            throw .unreadable(error)
        }
    }

    private static func check(
        _ status: stat,
        _ path: String,
        _ isFromSystemd: Bool
    ) throws(Refusal) {
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw .exposed("it is no regular file")
        }
        guard status.st_uid == geteuid() || status.st_uid == 0 else {
            throw .exposed("it belongs to user \(status.st_uid): give it to yourself or to root")
        }
        let others: mode_t = isFromSystemd ? 0o037 : 0o077
        guard status.st_mode & others == 0 else {
            throw .exposed("others may use it: run 'chmod 0600 \(path)'")
        }
    }
}
