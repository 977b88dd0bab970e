// SPDX-License-Identifier: Apache-2.0
import CSeccomp
import Policy

/// The same rules as libseccomp compiles them.
///
/// libseccomp has one default action in a filter. So a call that is judged by its arguments gets a
/// filter of its own, and a mark in the table that says which.
struct LibseccompReference {
    private static let mark: UInt32 = 0x7ff0_0000  // SECCOMP_RET_TRACE, which we never use

    private let table: SeccompProgram
    private let judged: [SeccompProgram]

    init(_ policy: SyscallPolicy) throws {
        var rules: [Rule] = []
        var judged: [SeccompProgram] = []
        for rule in policy.rules {
            switch rule.decision {
            case .allow:
                rules.append(Rule(number: rule.number, action: .allow))
            case .refuse(SyscallPolicy.unlisted):
                // libseccomp refuses a rule that changes nothing.
                continue
            case .refuse(let errno):
                rules.append(Rule(number: rule.number, action: .errno(errno.code)))
            case .only(let matches, let errno):
                rules.append(Rule(number: rule.number, action: Self.marked(judged.count)))
                judged.append(
                    try Self.compile(
                        Rule.each(of: matches, number: rule.number, action: .allow),
                        otherwise: .errno(errno.code)
                    )
                )
            case .except(let matches, let errno):
                rules.append(Rule(number: rule.number, action: Self.marked(judged.count)))
                judged.append(
                    try Self.compile(
                        Rule.each(of: matches, number: rule.number, action: .errno(errno.code)),
                        otherwise: .allow
                    )
                )
            }
        }
        self.judged = judged
        table = try Self.compile(rules, otherwise: .errno(SyscallPolicy.unlisted.code))
    }

    /// What libseccomp's filter answers to a call.
    func evaluate(_ call: SeccompCall) -> SeccompAction {
        let action = table.evaluate(call)
        guard case .other(let value) = action else { return action }
        return judged[Int(value - Self.mark)].evaluate(call)
    }

    private static func marked(_ index: Int) -> SeccompAction {
        .other(mark + UInt32(index))
    }

    /// One conjunction of comparisons, and its action.
    private struct Rule {
        let number: Int32
        let action: SeccompAction
        var comparisons: [sbx_comparison] = []

        /// One rule for each way a match can hold: libseccomp has no "one of these values".
        static func each(
            of matches: [ArgumentMatch],
            number: Int32,
            action: SeccompAction
        ) -> [Rule] {
            matches.flatMap { match in
                match.tests.reduce([Rule(number: number, action: action)]) { rules, test in
                    rules.flatMap { rule in
                        test.values.map { value in
                            var rule = rule
                            rule.comparisons.append(
                                sbx_comparison(
                                    argument: test.argument,
                                    mask: test.mask,
                                    value: value
                                )
                            )
                            return rule
                        }
                    }
                }
            }
        }
    }

    /// libseccomp refused; the code is an errno.
    struct Refused: Error {
        let code: Int
    }

    private static func compile(
        _ rules: [Rule],
        otherwise: SeccompAction
    ) throws -> SeccompProgram {
        var comparisons: [sbx_comparison] = []
        let flat = rules.map { rule in
            defer { comparisons += rule.comparisons }
            return sbx_rule(
                number: rule.number,
                action: rule.action.rawValue,
                first_comparison: UInt32(comparisons.count),
                comparison_count: UInt32(rule.comparisons.count)
            )
        }
        var bytes = [UInt8](repeating: 0, count: 1 << 15)
        let length = flat.withUnsafeBufferPointer { flat in
            comparisons.withUnsafeBufferPointer { comparisons in
                var filter = sbx_filter()
                filter.architecture = Architecture.x86_64.rawValue
                filter.default_action = otherwise.rawValue
                filter.foreign_action = SeccompAction.killProcess.rawValue
                filter.rules = flat.baseAddress
                filter.rule_count = UInt32(flat.count)
                filter.comparisons = comparisons.baseAddress
                filter.comparison_count = UInt32(comparisons.count)
                return sbx_filter_compile(&filter, &bytes, bytes.count)
            }
        }
        guard length > 0 else { throw Refused(code: -length) }
        return SeccompProgram(bytes: Array(bytes[..<length]))
    }
}
