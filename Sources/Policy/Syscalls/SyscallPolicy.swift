// SPDX-License-Identifier: Apache-2.0

/// Words for numbers that a kernel gave.
package enum SyscallNames {
    /// The call's name on this machine.
    package static func name(of number: Int32) -> String {
        Syscall.name(of: number, on: .host) ?? "number \(number)"
    }

    /// The symbol of an errno that a filter answers.
    package static func errno(_ code: Int32) -> String {
        SyscallErrno.allCases.first { $0.code == code }?.rawValue ?? "errno \(code)"
    }
}

/// The system calls that a job may make, by number, on one architecture.
///
/// A call that no rule speaks of gets `ENOSYS`; a call through another ABI kills the process.
package struct SyscallPolicy: Sendable, Hashable {
    /// One call and what becomes of it.
    package struct Rule: Sendable, Hashable {
        /// Its number.
        package let number: Int32
        /// Its name.
        package let name: String
        /// What the filter does with it.
        package let decision: SyscallDecision
        /// The group it is listed in, such as `files`.
        package let group: String
        /// Why, in a sentence.
        package let why: String
    }

    /// What a call gets that no rule speaks of.
    package static let unlisted = SyscallErrno.notImplemented

    /// The machine whose numbers these are.
    package let architecture: Architecture

    /// The name of the list it started from.
    package let base: String

    /// The rules by number, none twice.
    package let rules: [Rule]

    /// The group of the rules that the profile added itself.
    package static let additions = "additions"

    /// The name of call `number`, as people know it.
    package func name(of number: Int32) -> String {
        rules.first { $0.number == number }?.name ?? Syscall.name(of: number, on: architecture)
            ?? "number \(number)"
    }

    /// Whether a run's calls can be witnessed: the job hands its filter's listener over by a call
    /// that the filter judges already.
    package var canBeWitnessed: Bool {
        rules.contains { $0.name == "sendmsg" && $0.decision == .allow }
    }

    /// What becomes of call `number`.
    package func decision(for number: Int32) -> SyscallDecision {
        rules.first { $0.number == number }?.decision ?? .refuse(Self.unlisted)
    }
}
