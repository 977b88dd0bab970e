// SPDX-License-Identifier: Apache-2.0

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

    /// What becomes of call `number`.
    package func decision(for number: Int32) -> SyscallDecision {
        rules.first { $0.number == number }?.decision ?? .refuse(Self.unlisted)
    }
}
