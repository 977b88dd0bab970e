// SPDX-License-Identifier: Apache-2.0
import Policy

/// Calls that are likely to hit something: numbers that exist, arguments near those that the rules
/// look for, and now and then another ABI, a neighbour's number, or a bit where none belongs.
///
/// The same seed gives the same calls, so that a failure can be had again.
struct RandomCalls {
    private let architecture: UInt32
    private let judged: [(number: UInt32, matches: [ArgumentMatch])]
    private var generator: SplitMix64

    init(for policy: SyscallPolicy, seed: UInt64) {
        architecture = policy.architecture.rawValue
        judged = policy.rules
            .map { (UInt32($0.number), $0.decision.matches) }
            .filter { !$0.1.isEmpty }
        generator = SplitMix64(state: seed)
    }

    mutating func next() -> SeccompCall {
        let isAimed = Bool.random(using: &generator)
        let aim = isAimed ? judged.randomElement(using: &generator) : nil
        var number = aim?.number ?? .random(in: 0..<600, using: &generator)
        var architecture = architecture
        var arguments = (0..<6).map { _ in UInt64.random(in: 0..<40, using: &generator) }
        let match = aim?.matches.randomElement(using: &generator)
        for test in match?.tests ?? [] where !happens(oneIn: 8) {
            arguments[Int(test.argument)] = argument(for: test)
        }
        switch Int.random(in: 0..<20, using: &generator) {
        case 0: architecture = 0x4000_0003
        case 1: number |= 0x4000_0000
        case 2: number = .random(in: .min ... .max, using: &generator)
        case 3: number = .max - .random(in: 0..<2, using: &generator)
        case 4: number &+= 1
        case 5: number &-= 1
        case 6...9:
            let bit = UInt64(1) << UInt64.random(in: 0..<64, using: &generator)
            arguments[.random(in: 0..<6, using: &generator)] ^= bit
        default: break
        }
        return SeccompCall(number: number, architecture: architecture, arguments: arguments)
    }

    /// An argument that passes the test, or just misses it, with noise where it does not look.
    private mutating func argument(for test: ArgumentTest) -> UInt64 {
        var value = UInt64(test.values.randomElement(using: &generator) ?? 0)
        let seen = (0..<32).map { UInt64(1) << $0 }.filter { $0 & UInt64(test.mask) != 0 }
        if happens(oneIn: 8), let bit = seen.randomElement(using: &generator) { value ^= bit }
        let noise = UInt64.random(in: .min ... .max, using: &generator) & ~UInt64(test.mask)
        // Noise in the low half would pass a neighbouring bit's test half of the time.
        return happens(oneIn: 2) ? value | noise : value | noise & 0xffff_ffff_0000_0000
    }

    private mutating func happens(oneIn count: Int) -> Bool {
        Int.random(in: 0..<count, using: &generator) == 0
    }
}

/// Steele, Lea and Flood's generator, for `SystemRandomNumberGenerator` cannot be seeded.
private struct SplitMix64: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}

extension SyscallDecision {
    /// The matches that it looks for, if it does.
    var matches: [ArgumentMatch] {
        switch self {
        case .allow, .refuse: []
        case .only(let matches, _), .except(let matches, _): matches
        }
    }
}
