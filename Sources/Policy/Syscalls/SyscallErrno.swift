// SPDX-License-Identifier: Apache-2.0

/// What a refused system call answers, by the name of the error.
package enum SyscallErrno: String, Sendable, Hashable, CaseIterable {
    /// "You may not": for calls known to be dangerous.
    case notPermitted = "EPERM"
    /// "This kernel has no such call": programs then fall back to an older way.
    case notImplemented = "ENOSYS"
    /// "This kernel has no such network": programs then try the next address family.
    case addressFamilyNotSupported = "EAFNOSUPPORT"
    /// "This kernel does not know that": programs then leave the option out.
    case invalidArgument = "EINVAL"
    /// "There is no such memory": programs then take ordinary memory.
    case noMemory = "ENOMEM"

    /// The error's number on Linux.
    package var code: UInt16 {
        switch self {
        case .notPermitted: 1
        case .notImplemented: 38
        case .addressFamilyNotSupported: 97
        case .invalidArgument: 22
        case .noMemory: 12
        }
    }
}
