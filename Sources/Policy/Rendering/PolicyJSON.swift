// SPDX-License-Identifier: Apache-2.0

extension Policy {
    /// The whole policy as JSON, keys in a fixed order; limits carry their unit in the key.
    package func json() -> String {
        let limits = Limit.allCases.map { JSON.Member($0.jsonKey, .number(self.limits[$0])) }
        let environment = self.environment.sorted { $0.key < $1.key }
            .map { JSON.Member($0.key, .string($0.value)) }
        let runtime = self.runtime.map { [JSON.Member("runtime", .string($0))] } ?? []
        let nesting =
            nestedNamespaces.map {
                [JSON.Member("nested_namespaces", .array($0.kinds.map { .string($0.rawValue) }))]
            } ?? []
        let policy: [JSON.Member] =
            [
                JSON.Member("name", .string(name)),
                JSON.Member("description", .string(summary)),
                JSON.Member("image", .string(image)),
                JSON.Member("engines", .array(engines.map { .string($0.rawValue) })),
            ] + runtime + nesting + [
                JSON.Member("limits", .object(limits)),
                JSON.Member("network", network.json),
                JSON.Member("secrets", .array(secrets.map(JSON.string))),
                JSON.Member("approval", .string(approval.rawValue)),
                JSON.Member("capabilities", .array(capabilities.names.map(JSON.string))),
                JSON.Member("environment", .object(environment)),
                JSON.Member("working_directory", .string(workingDirectory)),
                JSON.Member("warm", .number(UInt64(warm))),
                JSON.Member("syscalls", syscalls.json),
            ]
        return JSON.object(policy).text() + "\n"
    }
}

extension Limit {
    /// The key with its unit: `memory_bytes`, `cpu_millicores`, `wall_time_ms`, `pids`.
    fileprivate var jsonKey: String {
        switch unit {
        case .bytes: rawValue.hasSuffix("_bytes") ? rawValue : rawValue + "_bytes"
        case .count: rawValue
        case .millicores: rawValue + "_millicores"
        case .milliseconds: rawValue + "_ms"
        }
    }
}

extension SyscallPolicy {
    fileprivate var json: JSON {
        .object([
            JSON.Member("base", .string(base)),
            JSON.Member("architecture", .string(architecture.name)),
            JSON.Member("unlisted", .string(Self.unlisted.rawValue)),
            JSON.Member("foreign_abi", .string("\(SeccompAction.killProcess)")),
            JSON.Member("rules", .array(rules.map(\.json))),
        ])
    }
}

extension SyscallPolicy.Rule {
    fileprivate var json: JSON {
        let call: [JSON.Member] = [
            JSON.Member("number", .number(UInt64(number))), JSON.Member("name", .string(name)),
            JSON.Member("group", .string(group)),
        ]
        return switch decision {
        case .allow: .object(call + [JSON.Member("decision", .string("allow"))])
        case .refuse(let errno):
            .object(
                call + [
                    JSON.Member("decision", .string("refuse")),
                    JSON.Member("errno", .string(errno.rawValue)),
                ]
            )
        case .only(let matches, let errno):
            .object(call + Self.judged("only_when", matches, errno))
        case .except(let matches, let errno):
            .object(call + Self.judged("except_when", matches, errno))
        }
    }

    private static func judged(
        _ decision: String,
        _ matches: [ArgumentMatch],
        _ errno: SyscallErrno
    ) -> [JSON.Member] {
        [
            JSON.Member("decision", .string(decision)),
            JSON.Member("errno", .string(errno.rawValue)),
            JSON.Member("matches", .array(matches.map { .array($0.tests.map(\.json)) })),
        ]
    }
}

extension ArgumentTest {
    fileprivate var json: JSON {
        .object([
            JSON.Member("argument", .number(UInt64(argument))),
            JSON.Member("mask", .number(UInt64(mask))),
            JSON.Member("equals", .array(values.map { .number(UInt64($0)) })),
        ])
    }
}

extension Network {
    fileprivate var json: JSON {
        switch self {
        case .none: .string("none")
        case .egress(let egress):
            .object([
                JSON.Member("allow", .array(egress.allow.map { .string("\($0)") })),
                JSON.Member("ask", .array(egress.ask.map { .string("\($0)") })),
                JSON.Member("bytes", .number(egress.bytes)),
            ])
        }
    }
}
