// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Kernel
internal import Synchronization

/// The host ids that this user may give to sandboxes (subuid(5), subgid(5)), and who has which.
///
/// Each sandbox takes a slot: one id for init, one for the job. No two that are alive share any, so
/// they share none of the kernel's quotas for a user (keys, pipe pages, message queues). The few
/// that also count against the owner of the namespaces are given out in small shares (setup.c).
/// Engines that run as the same user share the ranges, and so this.
package final class SubordinateIDs: Sendable {
    /// The two ids of one sandbox, as the launcher's user namespace numbers them.
    package struct Slot: Sendable, Hashable {
        let number: UInt32
        /// init's; 0 is the daemon's user, so the range begins at 1.
        package var initID: UInt32 { 1 + number * 2 }
        /// The job's.
        package var jobID: UInt32 { 2 + number * 2 }
    }

    /// One line of /etc/subuid.
    package struct Range: Sendable, Hashable {
        package var start: UInt32
        package var count: UInt32
    }

    private static let slotsMax: UInt32 = 4096

    package let users: Range
    package let groups: Range
    private let free: Mutex<[UInt32]>

    /// Finds the ranges of `user` (a name; `uid` is looked for as well).
    package convenience init(user: String, uid: UInt32) throws(SpawnError) {
        self.init(
            users: try Self.range(in: "/etc/subuid", user: user, uid: uid),
            groups: try Self.range(in: "/etc/subgid", user: user, uid: uid)
        )
    }

    /// Gives out ids of these ranges.
    init(users: Range, groups: Range) {
        self.users = users
        self.groups = groups
        let slots = min(Self.slotsMax, users.count / 2, groups.count / 2)
        // Handed out in turn and given back to the end, so that an id rests before it is used again.
        free = Mutex((0..<slots).reversed())
    }

    private static func range(
        in file: String,
        user: String,
        uid: UInt32
    ) throws(SpawnError) -> Range {
        // A missing file is the same as one without a line for this user.
        let text = (try? KernelFile.read(file)) ?? ""
        let ranges = text.split(separator: "\n").compactMap { line -> Range? in
            let parts = line.split(separator: ":")
            guard parts.count == 3, parts[0] == user || parts[0] == String(uid),
                let start = UInt32(parts[1]), let count = UInt32(parts[2])
            else { return nil }
            return Range(start: start, count: count)
        }
        guard let largest = ranges.max(by: { $0.count < $1.count }), largest.count >= 2 else {
            throw .ids(
                "\(file) has no range for user '\(user)': run 'sudo sandboxd setup', or add a "
                    + "line such as '\(user):100000:65536'"
            )
        }
        return largest
    }

    /// How many sandboxes can be alive at once.
    package var available: Int { free.withLock(\.count) }

    /// Takes a slot that no living sandbox has.
    package func take() throws(SpawnError) -> Slot {
        guard let number = free.withLock({ $0.popLast() }) else {
            throw .ids("all subordinate ids are in use: too many sandboxes are alive at once")
        }
        return Slot(number: number)
    }

    /// Gives a slot back, once nothing runs under its ids any more.
    package func giveBack(_ slot: Slot) {
        free.withLock { $0.insert(slot.number, at: 0) }
    }

    /// The host's id for a launcher's id.
    package func hostUser(_ id: UInt32) -> UInt32 { users.start + id - 1 }

    /// The host's group for a launcher's group.
    package func hostGroup(_ id: UInt32) -> UInt32 { groups.start + id - 1 }
}
