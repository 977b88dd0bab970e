// SPDX-License-Identifier: Apache-2.0
@testable import Policy

extension SyscallPolicy {
    /// The same rules but one.
    func without(_ rule: Rule) -> SyscallPolicy {
        SyscallPolicy(
            architecture: architecture,
            base: base,
            rules: rules.filter { $0 != rule }
        )
    }

    /// The same rules, one of them with another decision.
    func with(_ decision: SyscallDecision, for rule: Rule) -> SyscallPolicy {
        let changed = Rule(
            number: rule.number,
            name: rule.name,
            decision: decision,
            group: rule.group,
            why: rule.why
        )
        return SyscallPolicy(
            architecture: architecture,
            base: base,
            rules: rules.map { $0 == rule ? changed : $0 }
        )
    }
}

extension SyscallDecision {
    /// The decision with one test gone from one of its matches, in each possible way.
    func weaker() -> [SyscallDecision] {
        switch self {
        case .allow, .refuse: []
        case .only(let matches, let errno):
            matches.weaker().map { .only(when: $0, otherwise: errno) }
        case .except(let matches, let errno):
            matches.weaker().map { .except(when: $0, refused: errno) }
        }
    }
}

extension [ArgumentMatch] {
    fileprivate func weaker() -> [[ArgumentMatch]] {
        indices.flatMap { index in
            self[index].tests.indices.map { lost in
                var matches = self
                var tests = matches[index].tests
                tests.remove(at: lost)
                matches[index] = ArgumentMatch(tests: tests)
                return matches
            }
        }
    }
}

extension SeccompProgram {
    /// The program with the instruction at `index` damaged, in each way there is.
    func damaged(at index: Int) -> [SeccompProgram] {
        instructions[index].damaged().map { damaged in
            var instructions = instructions
            instructions[index] = damaged
            return SeccompProgram(instructions: instructions)
        }
    }
}

extension SeccompProgram.Instruction {
    /// Damage that keeps the program one that ends: another action, number or mask, or a
    /// comparison turned around.
    fileprivate func damaged() -> [Self] {
        var other = self
        switch code {
        case 0x06:
            other.operand = operand == 0x7fff_0000 ? 0x0005_0026 : 0x7fff_0000
            return [other]
        case 0x15, 0x35:
            var turned = self
            (turned.jumpTrue, turned.jumpFalse) = (jumpFalse, jumpTrue)
            other.operand ^= 1
            return jumpTrue == jumpFalse ? [other] : [turned, other]
        case 0x54:
            other.operand &= other.operand - 1
            return [other]
        default:
            return []
        }
    }
}
