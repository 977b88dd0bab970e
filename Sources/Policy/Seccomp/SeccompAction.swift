// SPDX-License-Identifier: Apache-2.0

/// What the kernel does with a call, as a filter returns it (seccomp(2)).
package enum SeccompAction: Sendable, Hashable {
    /// Makes the call.
    case allow
    /// Fails it.
    case errno(UInt16)
    /// Kills the process with `SIGSYS`.
    case killProcess
    /// Something that our filters never return.
    case other(UInt32)

    package init(rawValue: UInt32) {
        self =
            switch rawValue {
            case 0x7fff_0000: .allow
            case 0x8000_0000: .killProcess
            case 0x0005_0000...0x0005_ffff: .errno(UInt16(rawValue & 0xffff))
            default: .other(rawValue)
            }
    }

    /// The value that a filter returns for it.
    package var rawValue: UInt32 {
        switch self {
        case .allow: 0x7fff_0000
        case .errno(let code): 0x0005_0000 | UInt32(code)
        case .killProcess: 0x8000_0000
        case .other(let value): value
        }
    }

    init(_ errno: SyscallErrno) {
        self = .errno(errno.code)
    }
}

extension SeccompAction: CustomStringConvertible {
    package var description: String {
        switch self {
        case .allow: return "ALLOW"
        case .errno(let code):
            let name = SyscallErrno.allCases.first { $0.code == code }?.rawValue
            return name ?? "ERRNO(\(code))"
        case .killProcess: return "KILL_PROCESS"
        case .other(let value): return "0x" + String(value, radix: 16)
        }
    }
}
