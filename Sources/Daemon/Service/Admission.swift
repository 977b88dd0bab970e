// SPDX-License-Identifier: Apache-2.0

/// How much memory the runs that go on have reserved, and whether one more fits. Pure.
struct Admission: Sendable, Hashable {
    /// What runs may reserve together, in bytes.
    let capacityBytes: UInt64
    /// What they have reserved.
    private(set) var reservedBytes: UInt64 = 0
    /// How many they are.
    private(set) var runs = 0
    /// Whether new runs are let in at all.
    var isOpen = true

    init(capacityBytes: UInt64) {
        self.capacityBytes = capacityBytes
    }

    /// Why a run is not let in now.
    enum Refusal: Error, Hashable, CustomStringConvertible {
        case memory(askedBytes: UInt64, freeBytes: UInt64)
        case neverFits(askedBytes: UInt64, capacityBytes: UInt64)
        case stopping

        var description: String {
            switch self {
            case .memory(let asked, let free):
                """
                the run reserves \(asked >> 20) MiB and \(free >> 20) MiB are free: \
                try again when others have ended
                """
            case .neverFits(let asked, let capacity):
                """
                the run reserves \(asked >> 20) MiB and this daemon may use \
                \(capacity >> 20) MiB in all: give it less memory, or the daemon more (--memory)
                """
            case .stopping: "the daemon is stopping"
            }
        }
    }

    /// Reserves a run's worst case.
    mutating func admit(bytes: UInt64) throws(Refusal) {
        guard isOpen else { throw .stopping }
        guard bytes <= capacityBytes else {
            throw .neverFits(askedBytes: bytes, capacityBytes: capacityBytes)
        }
        let free = capacityBytes - reservedBytes
        guard bytes <= free else { throw .memory(askedBytes: bytes, freeBytes: free) }
        reservedBytes += bytes
        runs += 1
    }

    /// Gives a run's reservation back.
    mutating func release(bytes: UInt64) {
        precondition(bytes <= reservedBytes && runs > 0, "released more than was reserved")
        reservedBytes -= bytes
        runs -= 1
    }
}
