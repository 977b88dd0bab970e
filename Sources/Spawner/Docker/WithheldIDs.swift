// SPDX-License-Identifier: Apache-2.0

/// The ids of containers that could not be removed, by the container's name: somebody may still run
/// under them. Pure.
struct WithheldIDs {
    private var slots: [String: SubordinateIDs.Slot] = [:]
    /// Those of them that the engine did not have at the last look.
    private var absent: Set<String> = []

    /// Keeps ids back until their container is gone.
    mutating func withhold(_ slot: SubordinateIDs.Slot, of container: String) {
        slots[container] = slot
        absent.remove(container)
    }

    /// The ids of a container that has been removed; nil when none were kept back.
    mutating func release(_ container: String) -> SubordinateIDs.Slot? {
        absent.remove(container)
        return slots.removeValue(forKey: container)
    }

    /// The containers whose ids are kept back.
    var containers: Set<String> { Set(slots.keys) }

    /// The ids of containers that went away by themselves. `asked` were kept back when the engine was
    /// asked what it has, and `present` is all of its answer; who is missing from it, and was at the
    /// last look, is gone. One look could be too early for a container that is just being made.
    mutating func release(
        _ asked: Set<String>,
        butFor present: Set<String>
    ) -> [SubordinateIDs.Slot] {
        let missing = asked.subtracting(present)
        let gone = missing.intersection(absent)
        absent = missing
        return gone.compactMap { release($0) }
    }
}
