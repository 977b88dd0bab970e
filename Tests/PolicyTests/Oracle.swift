// SPDX-License-Identifier: Apache-2.0
import Policy

extension SyscallPolicy {
    /// What the rules say of a call, worked out without a filter.
    ///
    /// It shares no line with the compiler, so that where the two agree, neither guessed.
    func verdict(on call: SeccompCall) -> SeccompAction {
        guard call.architecture == architecture.rawValue else { return .killProcess }
        // The bit of x32; -1 is what a tracer writes over a call it wants skipped.
        if call.number >= 0x4000_0000, call.number != .max { return .killProcess }
        switch decision(for: Int32(bitPattern: call.number)) {
        case .allow: return .allow
        case .refuse(let errno): return .errno(errno.code)
        case .only(let matches, let errno):
            return matches.contains { $0.holds(for: call) } ? .allow : .errno(errno.code)
        case .except(let matches, let errno):
            return matches.contains { $0.holds(for: call) } ? .errno(errno.code) : .allow
        }
    }
}

extension ArgumentMatch {
    fileprivate func holds(for call: SeccompCall) -> Bool {
        tests.allSatisfy { test in
            let argument = UInt32(truncatingIfNeeded: call.arguments[Int(test.argument)])
            return test.values.contains(argument & test.mask)
        }
    }
}

extension SeccompProgram {
    /// What becomes of a call on x86_64 with these arguments.
    func action(_ number: UInt32, _ arguments: UInt64...) -> SeccompAction {
        evaluate(
            SeccompCall(
                number: number,
                architecture: Architecture.x86_64.rawValue,
                arguments: arguments
            )
        )
    }
}
