// SPDX-License-Identifier: Apache-2.0
package import Kernel

/// The isolated place of one attempt, as its engine made it.
package struct Cell: Sendable {
    /// What meters and caps it.
    package var cgroup: any Cgroup
    /// What the cgroup was told.
    package var limits: CgroupLimits
    /// The ids it runs under.
    package var slot: SubordinateIDs.Slot
    /// The same as host ids.
    package var hostInitUser: UInt32
    package var hostJobUser: UInt32
    package var hostJobGroup: UInt32
}

/// Tells, on the engine's loop, of init's process: its pidfd, or why there is none.
package typealias Launched = @Sendable (Result<Descriptor, SpawnError>) -> Void

/// What makes containers. It only makes an isolated place with init in it, says which cgroup meters
/// it, and takes back what it gave; everything else is `Sandbox`, the same for every engine.
package protocol Engine: Actor {
    /// The engine's name in the API.
    nonisolated var name: String { get }
    /// The loop on which it, and every sandbox it makes, runs.
    nonisolated var loop: EventLoop { get }
    /// The layers its sandboxes are made of: all, but for control runs.
    nonisolated var layers: Layers { get }

    /// Begins to make the place. `control` is init's end of the control channel; when the last copy
    /// of the other end is closed, init ends. `launched` is called once unless this throws.
    /// Throws `SpawnError`; then nothing is left but what ends with the channel.
    func begin(
        _ request: RunRequest, control: Descriptor, _ launched: @escaping Launched
    ) async throws -> Cell

    /// Takes the ids back; called when every process of the cell is dead.
    func end(_ cell: Cell)
}
