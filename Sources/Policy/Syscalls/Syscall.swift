// SPDX-License-Identifier: Apache-2.0
import CSeccomp
import Glibc

/// Names and numbers of system calls, as libseccomp knows them.
enum Syscall {
    /// Calls that have the same number on every architecture (since Linux 5.1), with room for those
    /// to come: what a list may name by number.
    static let commonNumbers: ClosedRange<Int32> = 424...1023

    /// The answer to a question for a name's number.
    enum Number: Hashable {
        /// The call exists.
        case known(Int32)
        /// The call exists, but not on this architecture: aarch64 has `openat` and no `open`.
        case elsewhere
        /// libseccomp has never heard of it.
        case unknown
    }

    static func number(of name: String, on architecture: Architecture) -> Number {
        let number = sbx_syscall_number(architecture.rawValue, name)
        return switch number {
        case 0...: .known(number)
        case -EOPNOTSUPP: .elsewhere
        default: .unknown
        }
    }

    static func name(of number: Int32, on architecture: Architecture) -> String? {
        CName.read { buffer, capacity in
            sbx_syscall_name(architecture.rawValue, number, buffer, capacity)
        }
    }
}
