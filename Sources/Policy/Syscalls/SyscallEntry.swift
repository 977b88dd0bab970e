// SPDX-License-Identifier: Apache-2.0

/// One call as it is written in a list or in a profile.
struct SyscallEntry: Sendable, Hashable {
    /// Its name, when it is written by name.
    let name: String?
    /// Its number, when it is written by number.
    let number: Int32?
    /// What becomes of it.
    let decision: SyscallDecision
    /// The group it is in.
    let group: String
    /// Why.
    let why: String
    /// Where it is written.
    let place: Place
    /// The path of keys that leads to it.
    let key: String
    /// Whether it does not hold for a profile with nested namespaces.
    var isLiftedByNesting = false
}

extension SyscallEntry {
    /// Reads an addition of a profile: `{name: mincore, why: …}`.
    init(addition entry: Entry) throws(ProfileError) {
        let section = try entry.section([
            "name", "number", "why", "only_when", "except_when", "errno",
        ])
        try self.init(
            section,
            at: entry,
            decision: .allow,
            group: SyscallPolicy.additions,
            why: try section.required("why").sentence()
        )
    }

    /// Reads an entry of a list: `read`, or a section when there is more to say than the name.
    init(
        _ entry: Entry,
        decision: SyscallDecision,
        group: String,
        why: String
    ) throws(ProfileError) {
        guard entry.isText else {
            let section = try entry.section([
                "name", "number", "only_when", "except_when", "errno",
            ])
            try self.init(section, at: entry, decision: decision, group: group, why: why)
            return
        }
        self.init(
            name: try entry.name(),
            number: nil,
            decision: decision,
            group: group,
            why: why,
            place: entry.place,
            key: entry.key
        )
    }

    private init(
        _ section: Section,
        at entry: Entry,
        decision: SyscallDecision,
        group: String,
        why: String
    ) throws(ProfileError) {
        let name = try section.optional("name")?.name()
        let number = try section.optional("number")?.syscallNumber()
        guard name != nil || number != nil else {
            throw entry.refusal("says no call", mend: "write its name, or its number")
        }
        let judged = try section.decision(at: entry)
        if judged != nil, decision != .allow {
            throw entry.refusal(
                "has conditions where all is refused",
                mend: "move it to a group that allows"
            )
        }
        self.init(
            name: name,
            number: number,
            decision: judged ?? decision,
            group: group,
            why: why,
            place: entry.place,
            key: entry.key
        )
    }

    /// The refusal of this entry.
    func refusal(_ problem: String, mend: String) -> ProfileError {
        .refused(at: place, key: key, problem: problem, mend: mend)
    }

    /// The rule it stands for, or `nil` when `architecture` has no such call.
    func rule(on architecture: Architecture) throws(ProfileError) -> SyscallPolicy.Rule? {
        guard let number = try number(on: architecture) else { return nil }
        return SyscallPolicy.Rule(
            number: number,
            name: name ?? Syscall.name(of: number, on: architecture) ?? "number \(number)",
            decision: decision,
            group: group,
            why: why
        )
    }

    private func number(on architecture: Architecture) throws(ProfileError) -> Int32? {
        guard let name else { return number }
        switch (Syscall.number(of: name, on: architecture), number) {
        case (.known(let known), nil):
            return known
        case (.known(let known), let written?) where known == written:
            return known
        case (.known(let known), _):
            throw refusal("\"\(name)\" is number \(known)", mend: "correct or remove the number")
        case (.elsewhere, _):
            return nil
        case (.unknown, let written?):
            return written
        case (.unknown, nil):
            throw refusal(
                "libseccomp knows no system call \"\(name)\"",
                mend: "correct the name, or write its number beside it"
            )
        }
    }
}
