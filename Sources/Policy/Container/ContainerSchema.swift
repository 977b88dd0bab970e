// SPDX-License-Identifier: Apache-2.0
package import JSON

/// What a body for a Docker engine may say: every key that may be there, and what it may be.
///
/// Bodies are made in one place (`ContainerBody`), and looked at here once more by a second piece
/// of code that shares nothing with it, before they go out: what would let a job out of its
/// container, such as a bind from elsewhere, never leaves the daemon by mistake.
package enum ContainerSchema {
    private indirect enum Rule {
        case exactly(JSONValue)
        case object(required: [String: Rule], optional: [String: Rule])
        case text(String, (String) -> Bool)
        case number(ClosedRange<UInt64>)
        /// A list of these, in this order.
        case list([Rule])
        case either(Rule, Rule)
    }

    /// The differences between `body` and what is allowed for an attempt in `directory`, each a
    /// sentence; none is the only way out.
    package static func problems(in body: JSONValue, directory: String) -> [String] {
        check(body, container(directory), "body")
    }

    private static func container(_ directory: String) -> Rule {
        .object(
            required: [
                "Image": .text("an image's id", isImageID),
                "Entrypoint": .exactly(.array([.string("/.sandboxd/init")])),
                "Cmd": command,
                "User": .exactly(.string("0:0")),
                "WorkingDir": .exactly(.string("/")),
                "Hostname": .exactly(.string("sandbox")),
                "Env": .exactly(.array([])),
                "Labels": .object(
                    required: [
                        "io.sandboxd.node": .text("a name", isWord),
                        "io.sandboxd.attempt": .text("a name", isWord),
                        "io.sandboxd.deadline": .text("a time", isWord),
                    ],
                    optional: [:]
                ),
                "Tty": .exactly(.bool(false)), "OpenStdin": .exactly(.bool(false)),
                "AttachStdin": .exactly(.bool(false)), "AttachStdout": .exactly(.bool(false)),
                "AttachStderr": .exactly(.bool(false)),
                "StopSignal": .exactly(.string("SIGKILL")),
                "HostConfig": host(directory),
            ],
            optional: [:]
        )
    }

    private static var command: Rule {
        let id = Rule.text("an id that is not root's") { UInt32($0).map { $0 > 0 } ?? false }
        let socket = Rule.exactly(.string("/.sandboxd/control"))
        return .either(
            .list([.exactly(.string("container")), socket]),
            .list([.exactly(.string("rootful")), id, id, id, id, id, id, socket])
        )
    }

    private static func host(_ directory: String) -> Rule {
        let newPrivileges = Rule.exactly(.string("no-new-privileges"))
        let filter = Rule.text("a seccomp profile in the body or the attempt's directory") {
            $0.hasPrefix("seccomp={") || $0 == "seccomp=" + directory + "/seccomp.json"
        }
        let unmask = Rule.exactly(.string("unmask=ALL"))
        return .object(
            required: [
                "Binds": .exactly(.array([.string(directory + ":/.sandboxd:ro")])),
                "NetworkMode": .exactly(.string("none")),
                "IpcMode": .exactly(.string("private")),
                "CgroupnsMode": .exactly(.string("private")),
                "ReadonlyRootfs": .exactly(.bool(true)), "Privileged": .exactly(.bool(false)),
                "CapDrop": .exactly(.array([.string("ALL")])),
                "CapAdd": .exactly(.array([.string("SETGID"), .string("SETUID")])),
                "SecurityOpt": .either(
                    .list([newPrivileges, filter]),
                    .list([newPrivileges, filter, unmask])
                ),
                "MaskedPaths": .exactly(.array([])), "ReadonlyPaths": .exactly(.array([])),
                "LogConfig": .exactly(
                    .object(["Type": .string("none"), "Config": .object([:])])
                ),
                "RestartPolicy": .exactly(
                    .object(["Name": .string("no"), "MaximumRetryCount": .number("0")])
                ),
                "AutoRemove": .exactly(.bool(false)), "Init": .exactly(.bool(false)),
            ],
            optional: [
                "Runtime": .text("a runtime's name", isWord), "Memory": .number(1...(1 << 46)),
                "MemorySwap": .number(1...(1 << 47)), "PidsLimit": .number(1...(1 << 22)),
                "NanoCpus": .number(1...1_000_000_000_000_000),
            ]
        )
    }

    private static func isImageID(_ text: String) -> Bool {
        let digits = text.dropFirst("sha256:".count).utf8
        return text.hasPrefix("sha256:") && digits.count == 64
            && digits.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
    }

    /// Letters, digits, `.`, `_` and `-`, at most 128.
    private static func isWord(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= 128
            && text.utf8.allSatisfy {
                (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0)
                    || $0 == 45 || $0 == 46 || $0 == 95
            }
    }

    private static func check(_ value: JSONValue, _ rule: Rule, _ key: String) -> [String] {
        switch rule {
        case .exactly(let wanted):
            return value == wanted ? [] : ["\(key) is not \(shown(wanted))"]
        case .text(let what, let holds):
            return value.text.map(holds) == true ? [] : ["\(key) is not \(what)"]
        case .number(let range):
            guard case .number(let text) = value, let number = UInt64(text) else {
                return ["\(key) is no number"]
            }
            return range.contains(number) ? [] : ["\(key) is out of range"]
        case .list(let rules):
            guard value.elements.count == rules.count else {
                return ["\(key) has not \(rules.count) entries"]
            }
            return zip(value.elements, rules).enumerated().flatMap {
                check($1.0, $1.1, "\(key)[\($0)]")
            }
        case .either(let one, let other):
            let problems = check(value, one, key)
            return problems.isEmpty || check(value, other, key).isEmpty ? [] : problems
        case .object(let required, let optional):
            return check(members: value, required, optional, key)
        }
    }

    private static func check(
        members value: JSONValue,
        _ required: [String: Rule],
        _ optional: [String: Rule],
        _ key: String
    ) -> [String] {
        guard case .object(let members) = value else { return ["\(key) is no object"] }
        var problems = required.keys.filter { members[$0] == nil }.map { "\(key).\($0) is missing" }
        for (name, member) in members {
            if let rule = required[name] ?? optional[name] {
                problems += check(member, rule, "\(key).\(name)")
            } else {
                problems.append("\(key).\(name) is not among what may be asked for")
            }
        }
        return problems.sorted()
    }

    private static func shown(_ value: JSONValue) -> String {
        String(decoding: value.bytes, as: UTF8.self)
    }
}
