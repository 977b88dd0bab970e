// SPDX-License-Identifier: Apache-2.0

/// The lists of system calls that profiles start from, and the one that none gets past.
package struct SyscallLists: Sendable {
    /// The list of what no profile can allow.
    private static let never = "never"

    private let never: SyscallList
    private let bases: [String: SyscallList]

    /// Loads every list in `directory`, which must hold `never.yaml`.
    package init(directory: String) throws(ProfileError) {
        never = try SyscallList(file: "\(directory)/\(Self.never).yaml")
        for entry in never.entries {
            guard case .refuse = entry.decision else {
                throw entry.refusal("is not refused", mend: "move it to a group that refuses")
            }
        }
        var bases: [String: SyscallList] = [:]
        for file in try TextFile.names(in: directory, suffix: ".yaml") {
            let list = try SyscallList(file: "\(directory)/\(file)")
            if list.name != Self.never { bases[list.name] = list }
        }
        self.bases = bases
    }

    /// The rules of `profile`: its base list, its additions, and the refusals of `never.yaml`.
    func resolve(
        _ profile: Profile,
        for architecture: Architecture
    ) throws(ProfileError) -> SyscallPolicy {
        guard let base = bases[profile.syscallBase] else {
            throw .refused(
                at: profile.syscallBasePlace,
                key: "syscalls.base",
                problem: "there is no list \"\(profile.syscallBase)\"",
                mend: "write one of: \(bases.keys.sorted().joined(separator: ", "))"
            )
        }
        var table = Table(architecture: architecture)
        for entry in never.entries { try table.add(entry, from: Self.never) }
        for entry in base.entries { try table.add(entry, from: base.name) }
        for entry in profile.syscallAdditions { try table.add(entry, from: profile.name) }
        return SyscallPolicy(
            architecture: architecture,
            base: base.name,
            rules: table.rules.values.sorted { $0.number < $1.number }
        )
    }
}

/// Rules by number, while they are being collected.
private struct Table {
    let architecture: Architecture
    var rules: [Int32: SyscallPolicy.Rule] = [:]
    private var origins: [Int32: String] = [:]

    init(architecture: Architecture) {
        self.architecture = architecture
    }

    /// Adds what `entry` says, unless an earlier list has spoken of that call already.
    ///
    /// So a profile can open what its base list is silent about, and nothing else: not what is
    /// refused by name, nor what is judged by its arguments.
    mutating func add(_ entry: SyscallEntry, from origin: String) throws(ProfileError) {
        guard let rule = try entry.rule(on: architecture) else { return }
        if let earlier = rules[rule.number], let list = origins[rule.number] {
            throw entry.refusal(earlier.objection(in: list), mend: "remove it here")
        }
        rules[rule.number] = rule
        origins[rule.number] = origin
    }
}

extension SyscallPolicy.Rule {
    /// Why nobody else can speak of this call any more.
    fileprivate func objection(in list: String) -> String {
        // The reason is a sentence; here it goes on.
        let why = why.hasSuffix(".") ? String(why.dropLast()) : why
        return switch decision {
        case _ where list == "never": "\(name) is never allowed: \(why)"
        case .allow: "\(name) is allowed already, in \(list)"
        case .refuse: "\(name) is refused in \(list): \(why)"
        case .only, .except: "\(name) is judged by its arguments in \(list): \(why)"
        }
    }
}
