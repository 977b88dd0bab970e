// SPDX-License-Identifier: Apache-2.0
internal import Kernel
internal import SystemPackage

/// A file that says who may give which ids to containers: subuid(5) or subgid(5).
struct SubordinateFile {
    /// One line of it.
    struct Line: Hashable {
        /// A name or a number.
        let owner: String
        let first: UInt64
        let count: UInt64

        /// The ids it gives.
        var ids: Range<UInt64> { first..<(first + count) }

        /// Reads `name:first:count`; nil for anything else.
        init?(_ text: Substring) {
            let words = text.split(separator: ":", omittingEmptySubsequences: false)
            guard words.count == 3, !words[0].isEmpty, let first = UInt32(words[1]),
                let count = UInt32(words[2]), count > 0
            else { return nil }
            owner = String(words[0])
            self.first = UInt64(first)
            self.count = UInt64(count)
        }
    }

    let path: String
    /// Whether the file is there at all.
    let exists: Bool
    let lines: [Line]

    /// Reads the file; a missing one has no lines.
    init(_ path: String) throws(Errno) {
        self.path = path
        do throws(Errno) {
            lines = try KernelFile.read(path).split(separator: "\n").compactMap { Line($0) }
            exists = true
        } catch .noSuchFileOrDirectory {
            lines = []
            exists = false
        }
    }

    /// The user's largest range, which is the one that the daemon takes.
    func largest(of user: String, uid: UInt32?) -> Line? {
        mine(user, uid).max { $0.count < $1.count }
    }

    /// Somebody else's line that shares ids with `range`.
    func overlap(with range: Range<UInt64>, user: String, uid: UInt32?) -> Line? {
        let mine = Set(mine(user, uid))
        return lines.first { !mine.contains($0) && $0.ids.overlaps(range) }
    }

    private func mine(_ user: String, _ uid: UInt32?) -> [Line] {
        lines.filter { $0.owner == user || $0.owner == uid.map { String($0) } }
    }
}
