// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Synchronization

/// Watches how full the disk of the state directory is: from a limit on, nothing new is taken, until
/// there is some room again. What runs ends as it would.
final class DiskGuard: Sendable {
    /// How much below the limit things are taken again, in percent of the disk.
    private static let slack = 5

    /// What it knows.
    struct State: Sendable, Hashable {
        /// How full the disk was at the last look, in percent; nil when it cannot be told.
        var usedPercent: Int?
        /// From here on nothing new is taken.
        var limitPercent: Int
        var isOpen = true

        /// Takes note of a look. Pure.
        mutating func saw(usedPercent: Int?) {
            self.usedPercent = usedPercent
            guard let usedPercent else { return }
            if usedPercent >= limitPercent {
                isOpen = false
            } else if usedPercent <= max(0, limitPercent - DiskGuard.slack) {
                isOpen = true
            }
        }
    }

    private let path: String
    private let known: Mutex<State>

    init(path: String, limitPercent: Int) {
        self.path = path
        known = Mutex(State(limitPercent: limitPercent))
    }

    /// Looks, and answers what is so now. A look is one kernel call.
    func look() -> State {
        let used = Self.usedPercent(path)
        return known.withLock { state in
            state.saw(usedPercent: used)
            return state
        }
    }

    /// As df(1) has it: of what users may use at all, rounded up.
    private static func usedPercent(_ path: String) -> Int? {
        var space = statvfs()
        guard statvfs(path, &space) == 0 else { return nil }
        let used = UInt64(space.f_blocks - space.f_bfree)
        let usable = used + UInt64(space.f_bavail)
        return usable == 0 ? nil : Int((used * 100 + usable - 1) / usable)
    }
}
