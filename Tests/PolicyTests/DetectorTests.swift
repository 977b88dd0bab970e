// SPDX-License-Identifier: Apache-2.0
import Foundation
import Policy
import Testing

/// The sweep and the random calls are detectors. Here they must detect.
@Suite struct DetectorTests {
    @Test("a rule that is lost shows in the golden file")
    func lostRule() throws {
        let kept = try String(contentsOf: GoldenFilter.file(for: "code"), encoding: .utf8)
        let policy = try Fixture.policy("code").syscalls
        let names = policy.names
        for rule in policy.rules where rule.decision != .refuse(SyscallPolicy.unlisted) {
            let program = try policy.without(rule).seccompProgram()
            #expect(GoldenFilter.sweep(program, names: names) != kept, "\(rule.name)")
        }
    }

    @Test("a lost test of an argument shows in the random calls")
    func lostTest() throws {
        let policy = try Fixture.policy("code").syscalls
        for rule in policy.rules {
            for weaker in rule.decision.weaker() {
                let program = try policy.with(weaker, for: rule).seccompProgram()
                #expect(disagreement(program, policy), "\(rule.name): \(weaker)")
            }
        }
    }

    @Test("each instruction of the filter, damaged, shows in the sweep or the random calls")
    func damage() throws {
        let policy = try Fixture.policy("code").syscalls
        let program = try policy.seccompProgram()
        let names = policy.names
        let sound = GoldenFilter.sweep(program, names: names)
        for index in program.instructions.indices {
            for damaged in program.damaged(at: index) {
                let isSeen =
                    GoldenFilter.sweep(damaged, names: names) != sound
                    || disagreement(damaged, policy)
                #expect(isSeen, "\(index): \(damaged.instructions[index])")
            }
        }
    }

    private func disagreement(_ program: SeccompProgram, _ policy: SyscallPolicy) -> Bool {
        var calls = RandomCalls(for: policy, seed: 0xdead)
        for _ in 0..<20_000 {
            let call = calls.next()
            if program.evaluate(call) != policy.verdict(on: call) { return true }
        }
        return false
    }
}
