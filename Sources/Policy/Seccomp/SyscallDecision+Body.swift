// SPDX-License-Identifier: Apache-2.0

extension SyscallDecision {
    /// The instructions that decide, once the number is known; they end with a return.
    var body: [SeccompProgram.Instruction] {
        switch self {
        case .allow:
            [.give(.allow)]
        case .refuse(let errno):
            [.give(SeccompAction(errno))]
        case .only(let matches, let errno):
            matches.flatMap { $0.body(giving: .allow) } + [.give(SeccompAction(errno))]
        case .except(let matches, let errno):
            matches.flatMap { $0.body(giving: SeccompAction(errno)) } + [.give(.allow)]
        }
    }
}

extension ArgumentMatch {
    /// Returns `action` when every test holds, and goes on behind its own end when one does not.
    fileprivate func body(giving action: SeccompAction) -> [SeccompProgram.Instruction] {
        tests.reversed().reduce(into: [.give(action)]) { rest, test in
            rest = test.body(skippingOnFailure: rest.count) + rest
        }
    }
}

extension ArgumentTest {
    /// Goes on behind its own end when the test holds, and skips `distance` more when not.
    fileprivate func body(
        skippingOnFailure distance: Int
    ) -> [SeccompProgram.Instruction] {
        var body: [SeccompProgram.Instruction] = [.load(at: SeccompData.lowHalf(of: argument))]
        if mask != .max { body.append(.and(mask)) }
        for (index, value) in values.enumerated() {
            let left = values.count - 1 - index
            body.append(
                .jump(ifEqual: value, then: UInt8(left), else: left == 0 ? UInt8(distance) : 0)
            )
        }
        return body
    }
}
