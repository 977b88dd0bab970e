// SPDX-License-Identifier: Apache-2.0
internal import Kernel

/// What has been made for one cell so far, so that it can be taken back at any moment.
///
/// Belongs to the event loop's thread.
final class ContainerInUse {
    /// The container's name, which is known before its id.
    let name: String
    let slot: SubordinateIDs.Slot
    let stem: Stem
    var directory: AttemptDirectory?
    /// The daemon's own, where the engine cannot cap.
    var cgroup: (any Cgroup)?
    /// Tasks of ours in the cgroup that meters it: init, and what the container has beside it where
    /// that is the container's cgroup.
    var ownTasks: UInt32 = 1
    /// Whether an engine of root's makes it.
    var isRootful = false
    /// Whether the engine has been asked for it: what came of that may be unknown.
    var mayExist = false
    /// The engine's id of it.
    var container: String?
    /// What process 1 has connected with.
    var connection: Descriptor?

    init(name: String, slot: SubordinateIDs.Slot, loop: EventLoop) {
        self.name = name
        self.slot = slot
        stem = Stem(on: loop)
    }
}
