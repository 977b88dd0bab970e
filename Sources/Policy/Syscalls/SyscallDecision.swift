// SPDX-License-Identifier: Apache-2.0

/// What the filter does with one system call.
package enum SyscallDecision: Sendable, Hashable {
    /// The call is made.
    case allow

    /// The call fails.
    case refuse(SyscallErrno)

    /// The call is made when any of the matches holds, and fails otherwise.
    case only(when: [ArgumentMatch], otherwise: SyscallErrno)

    /// The call fails when any of the matches holds, and is made otherwise.
    case except(when: [ArgumentMatch], refused: SyscallErrno)
}

/// Tests of a call's arguments that all hold together. Each argument is tested once at most.
package struct ArgumentMatch: Sendable, Hashable {
    package let tests: [ArgumentTest]
}

/// One test: is `argument & mask` one of `values`?
///
/// It looks at the low 32 bits only, as the kernel does in every call that we judge by its
/// arguments. A test of all 64 could be walked around by setting a high bit (CVE-2019-10063).
package struct ArgumentTest: Sendable, Hashable {
    /// Which argument, counted from 0 to 5.
    package let argument: UInt32
    /// The bits to look at.
    package let mask: UInt32
    /// What they may be; never empty.
    package let values: [UInt32]
}
