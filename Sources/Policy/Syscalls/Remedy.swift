// SPDX-License-Identifier: Apache-2.0

/// What would let a system call through that a policy refused.
package enum Remedy: Sendable, Hashable {
    /// An entry in the profile's `syscalls.allow`.
    case addition
    /// Nothing that a profile can say: a list refuses it, for this reason.
    case never(why: String)
    /// Nothing that a profile can say: a list judges it by its arguments, for this reason.
    case judged(why: String)
    /// It is let through by now.
    case none
}

extension SyscallPolicy {
    /// What would let call `number` through.
    package func remedy(for number: Int32) -> Remedy {
        guard let rule = rules.first(where: { $0.number == number }) else {
            let canBeWritten =
                Syscall.commonNumbers.contains(number)
                || Syscall.name(of: number, on: architecture) != nil
            return canBeWritten ? .addition : .never(why: "Linux has no such call")
        }
        return switch rule.decision {
        case .allow: .none
        case .refuse: .never(why: rule.why)
        case .only, .except: .judged(why: rule.why)
        }
    }
}
