// SPDX-License-Identifier: Apache-2.0

/// One file of `profiles/syscalls/`: groups of calls, with a reason for each group.
struct SyscallList: Sendable, Hashable {
    /// Its name, which is its file's too.
    let name: String

    /// The list it goes on from, by name: what it does not speak of is as that list says.
    let parent: String?

    /// Where it stands.
    let place: Place

    /// Its calls in the order of the file.
    let entries: [SyscallEntry]

    /// Reads the list in the file at `path`.
    init(file path: String) throws(ProfileError) {
        let root = try Entry(file: path)
        let section = try root.section(["name", "description", "extends", "groups"])
        let name = try section.required("name")
        self.name = try name.name()
        guard path.lastComponent == self.name + ".yaml" else {
            throw name.refusal(
                "\"\(self.name)\" is not what the file is called",
                mend: "rename the file to \(self.name).yaml, or the list"
            )
        }
        // Read for its own sake: a list that says nothing for itself is refused.
        _ = try section.required("description").sentence()
        parent = try section.optional("extends")?.name()
        place = section.optional("extends")?.place ?? root.place
        var entries: [SyscallEntry] = []
        for group in try section.required("groups").list() { entries += try Self.entries(group) }
        self.entries = entries
    }

    /// Reads `{name: files, why: …, allow: […]}` or `{name: …, why: …, refuse: […], errno: …}`.
    private static func entries(_ group: Entry) throws(ProfileError) -> [SyscallEntry] {
        let section = try group.section(["name", "why", "allow", "refuse", "errno", "unless"])
        let name = try section.required("name").name()
        let why = try section.required("why").sentence()
        let calls: [Entry]
        let decision: SyscallDecision
        switch (section.optional("allow"), section.optional("refuse")) {
        case (let allow?, nil):
            calls = try allow.list()
            decision = .allow
        case (nil, let refuse?):
            calls = try refuse.list()
            decision = .refuse(try section.required("errno").errno())
        default:
            throw group.refusal("must either allow or refuse", mend: "write one of the two")
        }
        let isLifted = try section.optional("unless")?.nestedNamespaces() ?? false
        var entries: [SyscallEntry] = []
        for call in calls {
            var entry = try SyscallEntry(call, decision: decision, group: name, why: why)
            entry.isLiftedByNesting = isLifted
            entries.append(entry)
        }
        return entries
    }
}

extension Entry {
    /// The one thing that lifts a refusal: that the profile has nested namespaces.
    fileprivate func nestedNamespaces() throws(ProfileError) -> Bool {
        guard try text() == "nested_namespaces" else {
            throw refusal("is no exception", mend: "write nested_namespaces, or remove it")
        }
        return true
    }
}
