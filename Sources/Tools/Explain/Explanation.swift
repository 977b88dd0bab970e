// SPDX-License-Identifier: Apache-2.0
internal import Client
internal import JSON
internal import Policy

/// What a run was denied, and what would allow it: its report, held against its profile.
struct Explanation {
    /// What names a cap of a profile, by the verdict that reaching it has.
    private static let caps = [
        "oom": "memory", "pids": "pids", "wall_time": "wall_time", "cpu_time": "cpu_time",
        "output": "output_total", "disk": "workspace",
    ]

    private let report: JSONValue
    private let policy: Policy

    init(_ report: JSONValue, _ policy: Policy) {
        self.report = report
        self.policy = policy
    }

    /// One refused call of the report.
    private struct DeniedCall {
        let number: Int32
        let name: String
        let text: String
    }

    private var denied: [DeniedCall] {
        (report["calls"]?.elements ?? []).compactMap { call in
            guard let number = call["number"]?.int.flatMap({ Int32(exactly: $0) }),
                let errno = call["errno"]?.text
            else { return nil }
            let name = policy.syscalls.name(of: number)
            return DeniedCall(
                number: number,
                name: name,
                text: CallProse.line(call, name: name, errno: errno)
            )
        }
    }

    /// Places on the network that were not reached, each once.
    private var missedPlaces: [JSONValue] {
        (report["network"]?.elements ?? []).filter { $0["allowed"] == .bool(false) }
    }

    /// Whether a rule of the profile would open this place: it was refused for want of one, and is
    /// no address that a sandbox never reaches.
    private static func canBeOpened(_ place: JSONValue) -> Bool {
        guard place["cause"]?.text == "no_rule", let rule = rule(for: place) else { return false }
        guard case .exactly(.address(let address)) = rule.hosts else { return true }
        return address.unreachable == nil
    }

    /// The rule that would name this place; nil for what has no name.
    private static func rule(for place: JSONValue) -> EgressRule? {
        place["place"]?.text.flatMap { try? EgressRule($0) }
    }

    // MARK: In words

    /// Lines for a person.
    var lines: [String] {
        var lines = [headline]
        for call in denied {
            lines.append(call.text)
            lines.append("    " + remedy(call))
        }
        for place in missedPlaces {
            let name = Terminal.printable(place["place"]?.text ?? "?")
            lines.append(
                "network: \(name): \(Terminal.printable(place["reason"]?.text ?? "refused"))"
            )
            lines.append("    " + remedy(of: place, named: name))
        }
        for file in report["artifacts_refused"]?.elements ?? [] {
            let name = Terminal.printable(file["path"]?.text ?? "?")
            lines.append("artifact \(name) was not kept: \(file["reason"]?.text ?? "?")")
        }
        if lines.count == 1 {
            lines.append(
                report["calls"] == nil || !wasWitnessed
                    ? "nothing else is known: run it with --explain to see refused system calls"
                    : "nothing was denied"
            )
        }
        return lines
    }

    /// A report without a single call may have had no witness; one with a refusal had one.
    private var wasWitnessed: Bool { !(report["calls"]?.elements ?? []).isEmpty }

    private var headline: String {
        let verdict = report["verdict"]?.text ?? "?"
        let head = "attempt \(report["attempt_id"]?.text ?? "?") of \(policy.name): \(verdict)"
        guard let cap = Self.caps[verdict] else { return head }
        return head + " (the cap is 'limits.\(cap)' of profile \(policy.name))"
    }

    private func remedy(_ call: DeniedCall) -> String {
        switch policy.syscalls.remedy(for: call.number) {
        case .addition:
            "would be allowed by 'syscalls.allow: [{name: \(call.name), why: …}]'"
        case .never(let why): "no profile can allow it: \(why)"
        case .judged(let why):
            "is judged by these arguments, and no profile can change that: \(why)"
        case .none: "is allowed by the profile as it is now"
        }
    }

    private func remedy(of place: JSONValue, named name: String) -> String {
        switch place["cause"]?.text {
        case "no_rule" where Self.canBeOpened(place):
            policy.network.open == nil
                ? "would be allowed by 'network: {allow: [\"\(name)\"]}'"
                : "would be allowed by \"\(name)\" in 'network.allow', or asked for with --allow"
        case "no_rule" where Self.rule(for: place) == nil:
            "is more than one place, and none of them is known by its name"
        case "no_rule":
            "would need \"\(name)\" in 'network.allow', and 'serve --egress-to': it is no public address"
        case "address":
            "no profile can allow it: only 'serve --egress-to' lets runs reach such an address"
        case "exhausted": "is within the rules: the cap is 'network.bytes'"
        case "unresolved", "unconnected", "insecure", "late", "crowded":
            "is within the rules: no line of the profile would change it"
        case nil: "the report does not say what would change it"
        default: "no line of the profile would change it"
        }
    }

    // MARK: As an addition to the profile

    /// What was refused and can be allowed, as the profile has it; and what cannot, in words.
    var suggestion: (yaml: [String], refused: [String]) {
        var names: [String: Int32] = [:]
        var refused: [String] = []
        for call in denied {
            switch policy.syscalls.remedy(for: call.number) {
            case .addition: names[call.name] = call.number
            case .never(let why): refused.append("\(call.name) is never allowed: \(why)")
            case .judged(let why):
                refused.append("\(call.name) is judged by its arguments: \(why)")
            case .none: break
            }
        }
        var yaml: [String] = []
        if !names.isEmpty {
            yaml += ["syscalls:", "  base: \(policy.syscalls.base)", "  allow:"]
            for (name, number) in names.sorted(by: { $0.key < $1.key }) {
                let call =
                    name.hasPrefix("number ") ? "number: \(number)" : "name: \(name)"
                yaml.append(
                    "    - {\(call), why: \"Asked for by attempt \(attempt); say what for.\"}"
                )
            }
        }
        let places = missedPlaces.filter(Self.canBeOpened).compactMap { $0["place"]?.text }
            .filter(Self.isPlain)
        if !places.isEmpty {
            yaml += ["network:", "  allow:"]
            yaml += Set(places).sorted().map { "    - \"\($0)\"" }
        }
        return (yaml, Array(Set(refused)).sorted())
    }

    private var attempt: String { (report["attempt_id"]?.text ?? "?").filter(\.isHexDigit) }

    /// What a sandbox asked for is written into a file: only letters that mean nothing there.
    private static func isPlain(_ place: String) -> Bool {
        !place.isEmpty
            && place.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"),
                    UInt8(ascii: ":"), UInt8(ascii: "["), UInt8(ascii: "]"):
                    true
                default: false
                }
            }
    }
}
