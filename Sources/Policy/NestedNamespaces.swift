// SPDX-License-Identifier: Apache-2.0

/// The namespaces that a job may make inside of its sandbox, and why it must.
///
/// Inside a user namespace of its own a job holds capabilities over what it makes there, and so
/// reaches more of the kernel. A profile pays that price only when it says so, kind by kind; what
/// it says is held against the system calls that its rules let through (`objection`).
package struct NestedNamespaces: Sendable, Hashable {
    /// A kind that a profile may ask for. Mount, UTS, IPC, cgroup and time namespaces are not among
    /// them.
    package enum Kind: String, Sendable, Hashable, CaseIterable {
        case user
        case pid
        case network

        /// Its bit in the flags of clone(2) and unshare(2).
        var flag: UInt32 {
            switch self {
            case .user: 0x1000_0000
            case .pid: 0x2000_0000
            case .network: 0x4000_0000
            }
        }
    }

    /// The kinds, in the order of the file; `user` is one of them.
    package let kinds: [Kind]

    /// Why, in a sentence.
    package let why: String

    /// Where it is written.
    let place: Place

    /// The bits of clone(2) for the kinds of namespaces that nobody may ask for: CLONE_NEWNS,
    /// CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC, and unshare(2)'s CLONE_NEWTIME.
    private static let never: [UInt32] = [
        0x0002_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000, 0x0000_0080,
    ]
}

extension NestedNamespaces {
    /// Reads `{allow: [user, pid], why: …}`.
    init(_ entry: Entry) throws(ProfileError) {
        let section = try entry.section(["allow", "why"])
        let allow = try section.required("allow")
        var kinds: [Kind] = []
        for entry in try allow.list() {
            let text = try entry.text()
            guard let kind = Kind(rawValue: text), !kinds.contains(kind) else {
                throw entry.refusal(
                    "\"\(text)\" is no namespace that a job may make, or there twice",
                    mend: "write some of: \(Kind.allCases.map(\.rawValue).joined(separator: ", "))"
                )
            }
            kinds.append(kind)
        }
        guard kinds.contains(.user) else {
            throw allow.refusal(
                "is without user, and no other namespace can be made without one",
                mend: "add user, or remove nested_namespaces"
            )
        }
        self.init(
            kinds: kinds,
            why: try section.required("why").sentence(),
            place: entry.place
        )
    }

    /// What the rules let a job make that `nested` does not say, or the other way round; `nil`
    /// when the two agree.
    ///
    /// Each flag is tried on clone(2) and unshare(2) alone and beside every set of flags that is
    /// allowed, as a filter that judges by bits could treat them differently.
    static func objection(of rules: SyscallPolicy, to nested: NestedNamespaces?) -> String? {
        let allowed = nested?.kinds ?? []
        let calls = ["clone", "unshare"].compactMap { name in
            rules.rules.first { $0.name == name }
        }
        let sets = allowed.reduce([UInt32(0)]) { sets, kind in
            sets + sets.map { $0 | kind.flag }
        }
        func isLetThrough(_ flags: UInt32) -> Bool {
            calls.contains { $0.decision.allows([flags]) }
        }
        for kind in Kind.allCases {
            let makes = sets.contains { isLetThrough($0 | kind.flag) }
            if makes, !allowed.contains(kind) {
                return "\(kind) namespaces are let through, and nested_namespaces does not say so"
            }
            if !makes, allowed.contains(kind) {
                return "\(kind) namespaces are allowed, and the list of system calls refuses them"
            }
        }
        let others = never.filter { flag in
            // A bit of the exit signal in clone's flags, and a namespace in unshare's only.
            let calls = flag == 0x80 ? calls.filter { $0.name == "unshare" } : calls
            return sets.contains { set in calls.contains { $0.decision.allows([set | flag]) } }
        }
        return others.isEmpty ? nil : "namespaces are let through that no job may make"
    }
}

extension SyscallDecision {
    /// Whether a call with these arguments is made; those that are left out are 0.
    fileprivate func allows(_ arguments: [UInt32]) -> Bool {
        func hold(_ matches: [ArgumentMatch]) -> Bool {
            matches.contains { match in
                match.tests.allSatisfy { test in
                    let index = Int(test.argument)
                    let value = index < arguments.count ? arguments[index] : 0
                    return test.values.contains(value & test.mask)
                }
            }
        }
        return switch self {
        case .allow: true
        case .refuse: false
        case .only(let matches, _): hold(matches)
        case .except(let matches, _): !hold(matches)
        }
    }
}
