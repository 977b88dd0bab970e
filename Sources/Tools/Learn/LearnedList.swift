// SPDX-License-Identifier: Apache-2.0
internal import JSON
internal import Policy

/// A list of system calls with what some runs have made, and no more.
struct LearnedList {
    /// What every job makes that init starts, seen or not.
    private static let needed = [
        "write", "read", "sendmsg", "execve", "exit", "exit_group", "rt_sigreturn",
        "restart_syscall",
    ]

    private let name: String
    private let base: SyscallPolicy
    /// How often each was made and by which programs, by number.
    private var seen: [Int32: (count: Int, programs: Set<String>)] = [:]
    private(set) var runs = 0

    /// A list that will be called `name`, of calls that `base` lets through.
    init(name: String, base: SyscallPolicy) {
        self.name = name
        self.base = base
    }

    /// Takes in the calls of a run's report.
    mutating func add(_ report: JSONValue) {
        runs += 1
        for call in report["calls"]?.elements ?? [] where call["errno"]?.text == nil {
            guard let number = call["number"]?.int.flatMap({ Int32(exactly: $0) }) else { continue }
            var entry = seen[number] ?? (0, [])
            entry.count += call["count"]?.int ?? 1
            entry.programs.insert(Self.plain(call["program"]?.text ?? ""))
            seen[number] = entry
        }
    }

    /// The list's file.
    func yaml(command: String) -> String {
        var groups: [String: [(rule: SyscallPolicy.Rule, note: String)]] = [:]
        for rule in base.rules {
            if let entry = seen[rule.number] {
                let programs = entry.programs.sorted().joined(separator: ", ")
                groups[rule.group, default: []].append(
                    (rule, "\(entry.count) times, by \(programs)")
                )
            } else if Self.needed.contains(rule.name) {
                groups[rule.group, default: []].append((rule, "to begin and to end a program"))
            }
        }
        var lines = [
            "# SPDX-License-Identifier: Apache-2.0", "#",
            "# What \(runs) runs under the list \(base.base) made, and no other call:",
            "#   \(Self.plain(command))",
            "name: \(name)",
            "description: Learned from runs under the list \(base.base).",
            "groups:",
        ]
        for (group, entries) in groups.sorted(by: { $0.key < $1.key }) {
            lines += [
                "  - name: \(group)", "    why: \(Self.quoted(entries[0].rule.why))", "    allow:",
            ]
            for (rule, note) in entries.sorted(by: { $0.rule.name < $1.rule.name }) {
                lines += Self.entry(rule, note)
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func entry(_ rule: SyscallPolicy.Rule, _ note: String) -> [String] {
        let call = rule.name.hasPrefix("number ") ? "number: \(rule.number)" : "name: \(rule.name)"
        switch rule.decision {
        case .allow, .refuse: return ["      - {\(call)} # \(note)"]
        case .only(let matches, let errno):
            return ["      - \(call) # \(note)", "        only_when:"] + matches.map(match)
                + ["        errno: \(errno.rawValue)"]
        case .except(let matches, let errno):
            return ["      - \(call) # \(note)", "        except_when:"] + matches.map(match)
                + ["        errno: \(errno.rawValue)"]
        }
    }

    private static func match(_ match: ArgumentMatch) -> String {
        let tests = match.tests.map { test in
            let values =
                "[" + test.values.map { "0x" + String($0, radix: 16) }.joined(separator: ", ")
                + "]"
            return test.mask == .max
                ? "arg\(test.argument): \(values)"
                : "arg\(test.argument): {mask: 0x\(String(test.mask, radix: 16)), equals: \(values)}"
        }
        return "          - {\(tests.joined(separator: ", "))}"
    }

    /// What a sandbox or a caller chose, for a comment: one line of plain letters.
    private static func plain(_ text: String) -> String {
        String(
            String.UnicodeScalarView(
                text.unicodeScalars.prefix(200).map { (0x20..<0x7f).contains($0.value) ? $0 : "?" }
            )
        )
    }

    private static func quoted(_ text: String) -> String {
        "\"" + text.map { $0 == "\"" || $0 == "\\" ? "\\\($0)" : String($0) }.joined() + "\""
    }
}
