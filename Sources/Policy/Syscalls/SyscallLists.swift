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
        for entry in never.entries
        where !entry.isLiftedByNesting || profile.nestedNamespaces == nil {
            try table.add(entry, from: Self.never)
        }
        for entry in base.entries { try table.add(entry, from: base.name) }
        if let parent = try parent(of: base) {
            let own = Set(table.rules.keys)
            for entry in parent.entries { try table.add(entry, from: parent.name, unless: own) }
        }
        for entry in profile.syscallAdditions { try table.add(entry, from: profile.name) }
        let policy = SyscallPolicy(
            architecture: architecture,
            base: base.name,
            rules: table.rules.values.sorted { $0.number < $1.number }
        )
        if let problem = NestedNamespaces.objection(of: policy, to: profile.nestedNamespaces) {
            throw .refused(
                at: profile.nestedNamespaces?.place ?? profile.syscallBasePlace,
                key: profile.nestedNamespaces == nil ? "syscalls.base" : "nested_namespaces",
                problem: problem,
                mend: "write in both what is meant"
            )
        }
        return policy
    }

    /// The list that `base` goes on from, if any; that one goes on from none.
    private func parent(of base: SyscallList) throws(ProfileError) -> SyscallList? {
        guard let name = base.parent else { return nil }
        guard let parent = bases[name], parent.parent == nil else {
            let known = bases.values.filter { $0.parent == nil }.map(\.name).sorted()
            throw .refused(
                at: base.place,
                key: "extends",
                problem: "there is no list \"\(name)\" that stands by itself",
                mend: "write one of: \(known.joined(separator: ", "))"
            )
        }
        return parent
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
    /// A call whose number is in `spoken` is left as it is: a list has said it better.
    mutating func add(
        _ entry: SyscallEntry,
        from origin: String,
        unless spoken: Set<Int32> = []
    ) throws(ProfileError) {
        guard let rule = try entry.rule(on: architecture), !spoken.contains(rule.number) else {
            return
        }
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
