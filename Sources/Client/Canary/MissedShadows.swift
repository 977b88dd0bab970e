// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc
internal import Kernel
internal import SystemPackage

/// Comparisons that could not be made or told, counted in a file of the user's until a daemon takes
/// the count.
package struct MissedShadows: Sendable {
    /// A daemon that stays away for long is no reason to fill a disk.
    private static let byteLimit = 1 << 20

    private let path: String

    /// Beside the user's other state.
    package init() {
        path = SocketPath.userState + "/missed-shadows"
    }

    package init(path: String) {
        self.path = path
    }

    /// What was counted, in a file of its own until somebody has it.
    package struct Waiting: Sendable {
        /// By profile.
        package let counts: [String: Int]
        fileprivate let file: String
        fileprivate let path: String

        /// They are known elsewhere now.
        package func forget() { unlink(file) }

        /// They wait for another.
        package func putBack() {
            for (profile, count) in counts {
                for _ in 0..<count { MissedShadows(path: path).note(profile: profile) }
            }
            unlink(file)
        }
    }

    /// Counts one. What cannot be counted is lost: there is nobody to tell.
    package func note(profile: String) {
        for (index, character) in zip(path.indices, path).dropFirst() where character == "/" {
            mkdir(String(path[..<index]), 0o700)
        }
        let number = path.withCString { clx_append($0) }
        guard number >= 0 else { return }
        let file = Descriptor(owning: number)
        var status = stat()
        guard fstat(file.number, &status) == 0, status.st_size < Self.byteLimit else { return }
        let line = Array((profile.filter { $0 != "\n" }.prefix(64) + "\n").utf8)
        // One write of a short line: lines of several processes do not mix.
        _ = try? file.write(line[...])
    }

    /// Takes what was counted, so that no two tell it.
    package func take() -> Waiting {
        let taken = path + ".\(getpid())"
        guard rename(path, taken) == 0 else { return Waiting(counts: [:], file: taken, path: path) }
        var counts: [String: Int] = [:]
        if let file = try? Descriptor.open(taken, O_RDONLY),
            let bytes = try? file.readAll(limit: Self.byteLimit + 4096)
        {
            for line in bytes.split(separator: UInt8(ascii: "\n")) {
                counts[String(decoding: line, as: UTF8.self), default: 0] += 1
            }
        }
        return Waiting(counts: counts, file: taken, path: path)
    }
}
