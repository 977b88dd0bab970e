// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Kernel
internal import SystemPackage

/// A range of user ids and one of group ids that belong to nobody but the daemon's sandboxes.
///
/// useradd gives them to people and not to system users.
struct SubordinateIDsStep: SetupStep {
    static let count: UInt64 = 65536

    /// Below that are people's and services' own ids (SUB_UID_MIN in login.defs(5)).
    private static let lowest: UInt64 = 100_000
    /// Ids from 2^31 on trouble programs that hold them in an int.
    private static let highest: UInt64 = 1 << 31

    func apply(_ setup: Setup) throws(SetupError) {
        let users = try read("/etc/subuid")
        let groups = try read("/etc/subgid")
        let account = setup.account
        let start = try freeStart(users, groups)
        for (file, option, kind) in [
            (users, "--add-subuids", "user"), (groups, "--add-subgids", "group"),
        ] {
            let mine = file.largest(of: setup.user, uid: account?.uid)
            if let line = mine, line.count >= Self.count {
                let overlap = file.overlap(with: line.ids, user: setup.user, uid: account?.uid)
                if let overlap {
                    throw .sharedIDs(file: file.path, user: setup.user, other: overlap.owner)
                }
                let last = line.ids.upperBound - 1
                setup.found("\(file.path): \(kind) ids \(line.first) to \(last)")
                continue
            }
            let last = start + Self.count - 1
            try setup.change("add \(kind) ids \(start) to \(last) to \(file.path)") {
                () throws(SetupError) in
                // usermod wants the file to be there.
                if !file.exists { try makeEmpty(file.path, setup) }
                try setup.run(
                    "usermod",
                    [option, "\(start)-\(last)", setup.user],
                    package: "passwd"
                )
            }
        }
    }

    /// The first id of a range in which nobody has any.
    private func freeStart(
        _ users: SubordinateFile,
        _ groups: SubordinateFile
    ) throws(SetupError) -> UInt64 {
        let taken = (users.lines + groups.lines).map(\.ids)
        let people = Account.allIDs()
        // If there is a free range at all, one begins at the lowest id or right behind a taken one.
        let candidates =
            ([Self.lowest] + taken.map(\.upperBound) + people.map { UInt64($0) + 1 }).sorted()
        for start in candidates where start >= Self.lowest && start + Self.count <= Self.highest {
            let range = start..<(start + Self.count)
            if taken.allSatisfy({ !$0.overlaps(range) }),
                people.allSatisfy({ !range.contains(UInt64($0)) })
            {
                return start
            }
        }
        throw .noFreeIDs
    }

    private func read(_ path: String) throws(SetupError) -> SubordinateFile {
        do throws(Errno) { return try SubordinateFile(path) } catch {
            throw .host(doing: "reading \(path)", error)
        }
    }

    private func makeEmpty(_ path: String, _ setup: Setup) throws(SetupError) {
        try setup.host("making \(path)") { () throws(Errno) in
            _ = try Descriptor.open(path, O_WRONLY | O_CREAT | O_EXCL)
            _ = try kernel { chmod(path, 0o644) }
        }
    }
}
