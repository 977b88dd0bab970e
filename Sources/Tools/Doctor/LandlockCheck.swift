// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// Landlock, a further layer where the kernel has it.
struct LandlockCheck: Check {
    let name = "landlock"

    /// landlock_create_ruleset(2), the same number on every architecture.
    private static let createRuleset = 444
    /// LANDLOCK_CREATE_RULESET_VERSION: answers the ABI and makes nothing.
    private static let version = 1

    private typealias SystemCall =
        @convention(c) (Int, UnsafeRawPointer?, Int, Int) -> Int

    func look(at patient: Patient) -> Finding {
        // syscall(2) is variadic, which Swift does not import. On Linux's ABIs integers reach a
        // variadic function as they reach any other.
        guard let symbol = dlsym(nil, "syscall") else { return .info("not known") }
        // SAFETY: the symbol is the C library's `long syscall(long, ...)`.
        let call = unsafeBitCast(symbol, to: SystemCall.self)
        let abi = call(Self.createRuleset, nil, 0, Self.version)
        guard abi > 0 else { return .info("the kernel has none: one layer less, nothing missing") }
        return .info("ABI \(abi)")
    }
}
