// SPDX-License-Identifier: Apache-2.0

/// A policy in words, for the person who answers for it.
package enum PolicyProse {
    /// What a job may do, each of its caps, and what it may not, in lines of 100 columns at most.
    package static func render(_ policy: Policy) -> String {
        let sections = [
            opening(policy),
            caps(policy.limits),
            refusals(policy),
            policy.nestedNamespaces.map(nesting),
            environment(policy),
            syscalls(policy.syscalls),
        ]
        return sections.compactMap { $0 }.joined(separator: "\n\n") + "\n"
    }

    private static func opening(_ policy: Policy) -> String {
        let runtime = policy.runtime.map { " with the runtime \($0)" } ?? ""
        let engines =
            policy.engines.map(\.rawValue).joined(separator: ", or else by ") + runtime
        return """
            \(policy.name)
            \(Wrapped.text(policy.summary))
            A job runs in the image \(policy.image), in a container made by \(engines).
            It starts in \(policy.workingDirectory).
            It can write to its workspace only, which is gone with it.
            """
    }

    private static func caps(_ limits: Limits) -> String {
        let width = Limit.allCases.map(\.rawValue.count).max() ?? 0
        let lines = Limit.allCases.map { limit in
            let padding = String(repeating: " ", count: width - limit.rawValue.count)
            return "  \(limit.rawValue)\(padding)  \(limits.sentence(for: limit))"
        }
        return "It may use at most\n" + lines.joined(separator: "\n")
    }

    private static func refusals(_ policy: Policy) -> String {
        let network =
            switch policy.network {
            case .none: "reach any network: it has a loopback of its own and nothing else"
            case .egress(let egress):
                "reach any network but, by a proxy on its own loopback and for at most "
                    + "\(ByteSize.written(egress.bytes)),\n"
                    + (egress.allow.map { "    \($0)" }
                    + egress.ask.map { "    \($0), when the request asks for it" })
                    .joined(separator: "\n")
            }
        let secrets =
            policy.secrets.isEmpty
            ? "" : "\n  be given any secret but \(policy.secrets.joined(separator: ", "))"
        let approval =
            switch policy.approval {
            case .never: ""
            case .required: "\n  run before a person has approved of it"
            case .egress:
                "\n  run before a person has approved of it, when it asks to reach more"
            }
        let capabilities = policy.capabilities.names
        let privileges =
            capabilities.isEmpty
            ? "hold or gain any privilege: no capabilities, and set-user-id files change nothing"
            : "hold or gain any capability but \(capabilities.joined(separator: ", "))"
        return """
            It may not
              \(network)
              \(privileges)
              see the host's files, processes, users or devices, or any other job's
              leave a core dump, or anything that outlives it but its output and artifacts\(secrets)\(approval)
            """
    }

    /// Said only of a policy that allows it: it is what sets such a profile apart.
    private static func nesting(_ nested: NestedNamespaces) -> String {
        let kinds = nested.kinds.map(\.rawValue).joined(separator: ", ")
        return """
            IT MAY MAKE NAMESPACES OF ITS OWN, and hold capabilities inside of them
            \(Wrapped.text("kinds: \(kinds). \(nested.why)", indentation: "  "))
            """
    }

    private static func environment(_ policy: Policy) -> String {
        guard !policy.environment.isEmpty else { return "Its environment is empty." }
        let lines = policy.environment.sorted { $0.key < $1.key }.map { "  \($0.key)=\($0.value)" }
        return "Its environment is\n" + lines.joined(separator: "\n")
    }

    private static func syscalls(_ syscalls: SyscallPolicy) -> String {
        var paragraphs = [
            Wrapped.text(
                """
                System calls are those of the list \(syscalls.base) for \
                \(syscalls.architecture.name). One that is not listed here answers \
                \(SyscallPolicy.unlisted.rawValue), as if the kernel did not have it. One made \
                through another ABI (32-bit or x32) kills the process.
                """
            )
        ]
        for group in syscalls.groups() {
            let calls = group.map(\.words).joined(separator: ", ")
            let title = "\(group[0].group) – \(group[0].why)"
            paragraphs.append(Wrapped.text(title, indentation: "  "))
            paragraphs.append(Wrapped.text(calls, indentation: "    "))
        }
        return paragraphs.joined(separator: "\n")
    }
}

extension Limits {
    /// One cap in words.
    fileprivate func sentence(for limit: Limit) -> String {
        let value = limit.written(self[limit])
        return switch limit {
        case .memory: "\(value) of memory in all, page cache and workspace included"
        case .swap where swapBytes == 0: "no swap at all"
        case .swap: "\(value) of swap"
        case .pids: "\(value) processes and threads at once"
        case .cpu where visibleCPUs == 1: "the time of \(value) core; it sees one CPU"
        case .cpu: "the time of \(value) cores; it sees \(visibleCPUs) CPUs"
        case .cpuTime: "\(value) of CPU time, all its processes together"
        case .wallTime: "\(value) from its start to its end"
        case .workspace: "\(value) in its workspace"
        case .workspaceInodes: "\(value) files, directories and links in its workspace"
        case .sharedMemory: "\(value) in /dev/shm"
        case .output: "\(value) kept of each output stream, from its head and its tail"
        case .outputTotal: "\(value) written to both streams, then it is ended"
        case .artifactBytes: "\(value) of artifacts"
        case .artifactCount: "\(value) artifacts"
        case .openFiles: "\(value) open files in each process"
        case .inputBytes: "\(value) of input, files and standard input together"
        }
    }
}

extension SyscallPolicy {
    /// The rules by group and reason; the groups in order of their first call's number.
    fileprivate func groups() -> [[Rule]] {
        var order: [String] = []
        var groups: [String: [Rule]] = [:]
        for rule in rules {
            let key = rule.group + "\n" + rule.why
            if groups[key] == nil { order.append(key) }
            groups[key, default: []].append(rule)
        }
        return order.compactMap { groups[$0] }
    }
}

extension SyscallPolicy.Rule {
    fileprivate var words: String {
        switch decision {
        case .allow: name
        case .refuse(let errno): "\(name) → \(errno.rawValue)"
        case .only(_, let errno), .except(_, let errno):
            "\(name) by its arguments, else → \(errno.rawValue)"
        }
    }
}
