// SPDX-License-Identifier: Apache-2.0
package import Kernel

/// Keeps a task that needs much memory from waiting for ever on a busy node. Pure: time is told.
///
/// A node leases what fits into its free memory, lane after lane. Without more, the first task of a
/// lane that needs more than is free just now may never see as much free at once: whatever an
/// attempt gives back goes to small tasks, which fit at once. Strictly in order, on the other hand,
/// a large task would leave most of the node idle each time it comes, and one that is larger than
/// the node would stop its lane here for good.
///
/// So small tasks may pass, but not for ever. When the same task has stood first in its lane, too
/// large for what was free, for longer than `patience`, the node *saves* for it: it leases nothing
/// until as much is free, and then from that lane first. Every attempt ends by its wall time, so
/// memory is saved up in a time that is bounded: the longest wall time of what runs. One task at a
/// time is saved for, the one that has waited longest, so that two do not wait for each other. A
/// task that is larger than the whole node is never saved for (some other node may be large
/// enough), nor is one that its budget cannot pay now: it would not be leased, however much is
/// free.
package struct MemorySaving: Sendable {
    /// The first task of a lane, which its budget can pay.
    package struct Head: Sendable, Hashable {
        package var task: Int
        package var lane: Int
        package var memoryMiB: Int

        package init(task: Int, lane: Int, memoryMiB: Int) {
            self.task = task
            self.lane = lane
            self.memoryMiB = memoryMiB
        }
    }

    /// What the node is to lease next.
    package enum Plan: Sendable, Hashable {
        /// Whatever fits, lanes in turn.
        case anything
        /// Nothing yet: as much is to become free for this one.
        case nothing(savingFor: Head)
        /// From this one's lane first.
        case first(Head)
    }

    private let patience: Duration
    private var passedSince: [Int: Instant] = [:]
    private var saving: Head?

    package init(patience: Duration) {
        self.patience = patience
    }

    /// Takes in what stands first in each lane, beside what is free and what could be.
    package mutating func look(
        _ heads: [Head],
        freeMiB: Int,
        capacityMiB: Int,
        at now: Instant
    ) {
        let before = passedSince
        // One that was passed before stays so even if it fits by now: it is not leased yet.
        let passed = heads.filter { head in
            head.memoryMiB <= capacityMiB && (head.memoryMiB > freeMiB || before[head.task] != nil)
        }
        passedSince = Dictionary(passed.map { ($0.task, before[$0.task] ?? now) }) { first, _ in
            first
        }
        saving =
            passed
            .map { (head: $0, since: before[$0.task] ?? now) }
            .filter { $0.since.advanced(by: patience) <= now }
            .min { ($0.since, $0.head.task) < ($1.since, $1.head.task) }?
            .head
    }

    /// A task was leased.
    package mutating func took(_ task: Int) {
        passedSince[task] = nil
        if saving?.task == task { saving = nil }
    }

    /// Whether some task has been passed.
    package var isWatching: Bool { !passedSince.isEmpty }

    /// What to lease with so much free.
    package func plan(freeMiB: Int) -> Plan {
        guard let saving else { return .anything }
        return saving.memoryMiB <= freeMiB ? .first(saving) : .nothing(savingFor: saving)
    }
}
