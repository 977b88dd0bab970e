// SPDX-License-Identifier: Apache-2.0
package import Kernel

/// An isolated place with init in it, as its engine made it. It serves one attempt.
package struct Cell: Sendable {
    /// Names it among the engine's cells; its cgroup has this name.
    package var id: String
    /// What meters and caps it. It has no limits yet.
    package var cgroup: any Cgroup
    /// Our end of the control channel; nil once it is given up. When it is closed, init ends.
    package var control: Descriptor?
    /// The ids it runs under, and the same as host ids.
    package var slot: SubordinateIDs.Slot
    package var hostInitUser: UInt32
    package var hostJobUser: UInt32
    package var hostJobGroup: UInt32
    /// Tasks in the cgroup that are not the job's: init, and whatever else the engine needs.
    package var ownTasks: UInt32 = 1
    /// The engine's id of the container that it is in; nil where the kernel's parts are all.
    package var container: String?
}

/// Tells, once and on the engine's loop, of init's process: its pidfd, or why there is none.
package typealias Launched = @Sendable (Result<Descriptor, SpawnError>) -> Void

/// Something that an engine made and that serves nobody any more.
package struct Stray: Sendable, Hashable {
    package enum Kind: String, Sendable {
        case container
        case directory
    }

    package var kind: Kind
    package var name: String

    package init(_ kind: Kind, _ name: String) {
        self.kind = kind
        self.name = name
    }
}

/// What makes containers. It only makes an isolated place with init in it, says which cgroup meters
/// it, and takes back what it gave; everything else is `Sandbox`, the same for every engine.
package protocol Engine: Actor {
    /// The engine's name in the API.
    nonisolated var name: String { get }
    /// The loop on which it, and every sandbox it makes, runs.
    nonisolated var loop: EventLoop { get }
    /// The layers its sandboxes are made of: all, but for control runs.
    nonisolated var layers: Layers { get }

    /// Makes the place for a run, or takes one that was made ahead. Throws `SpawnError`; then
    /// nothing is left and `launched` is not called.
    func begin(_ request: RunRequest, _ launched: @escaping Launched) async throws -> Cell

    /// The job has started: a good moment to make the next place ahead.
    func jobStarted(_ request: RunRequest)

    /// The job has ended and its counters are read: what was kept for them may go.
    func jobEnded(in cell: Cell)

    /// The names of the cells that serve a run or wait for one: what has a cgroup and is not among
    /// them was left behind.
    var inventory: Set<String> { get }

    /// Takes back what it gave. Every process of the cell is dead, or the engine can end those that
    /// are not (`Cell.container`). Answers what of it is left, each in a sentence.
    func end(_ cell: Cell) async -> [String]

    /// The same for a cell whose init outlives its run: it serves nobody any more, and its ids are
    /// somebody's until `death`, init's pidfd, can be read.
    func abandon(_ cell: Cell, until death: Descriptor) async

    /// What is there of this daemon's and serves no cell, beside cgroups. Throws when that cannot be
    /// found out.
    func strays() async throws(SpawnError) -> Set<Stray>

    /// Removes one of them; throws when it stays.
    func remove(_ stray: Stray) async throws(SpawnError)
}
