// SPDX-License-Identifier: Apache-2.0
internal import CChannel
internal import SystemPackage

/// Which of a job's system calls init takes note of.
package enum Witness: Sendable, Hashable {
    case none
    /// Those that the filter refuses.
    case denied
    /// Those that it lets through, too: much slower, to learn what a program needs.
    case all

    var number: UInt32 {
        switch self {
        case .none: SBX_WITNESS_NONE.rawValue
        case .denied: SBX_WITNESS_DENIED.rawValue
        case .all: SBX_WITNESS_ALL.rawValue
        }
    }
}

/// A system call that a job made, as init saw it; nothing else vouches for it.
package struct SeenCall: Sendable, Hashable {
    package let number: Int32
    /// What it was refused with; nil when it was let through.
    package let errno: Int32?
    /// The low halves of the arguments that decided, by their places.
    package let arguments: [Int: UInt32]
    /// The short name of the program that made it: bytes that the job chose.
    package let program: [UInt8]
    package let count: UInt64
    /// Calls that init had no more room for; only the last one tells.
    package let unrecorded: UInt64

    /// More than a machine makes in days, and few enough that those who read a report can add up as
    /// many as it has.
    private static let countMax: UInt64 = 1 << 48

    /// nil when it was refused with what is no errno.
    init?(_ message: sbx_denied) {
        number = message.number
        errno = Errno(reported: message.error)?.rawValue
        guard message.error == 0 || errno != nil else { return nil }
        count = min(message.count, Self.countMax)
        unrecorded = min(message.unrecorded, Self.countMax)
        let values = withUnsafeBytes(of: message.arguments) { bytes in
            Array(bytes.bindMemory(to: UInt64.self))
        }
        var arguments: [Int: UInt32] = [:]
        for place in values.indices where message.looked_at & (1 << UInt32(place)) != 0 {
            arguments[place] = UInt32(truncatingIfNeeded: values[place])
        }
        self.arguments = arguments
        program = withUnsafeBytes(of: message.program) { Array($0.prefix { $0 != 0 }) }
    }
}
