// SPDX-License-Identifier: Apache-2.0
import Yams

/// One value of a YAML file, which knows where it stands.
///
/// Everything is read through it, so that every refusal names file, line and key.
struct Entry {
    private let node: Node
    private let file: String

    /// The path of keys that leads here: `limits.pids`, `syscalls.allow[2]`; empty for the file.
    let key: String

    /// Parses the file at `path`, which must hold one document.
    init(file path: String) throws(ProfileError) {
        try self.init(yaml: try TextFile.read(path), file: path)
    }

    /// Parses `yaml`; `file` is what refusals call it.
    init(yaml: String, file: String) throws(ProfileError) {
        let root: Node?
        do {
            root = try Yams.compose(yaml: yaml, .default, .default, .utf8)
        } catch {
            throw ProfileError(error, file: file)
        }
        guard let root else {
            throw .refused(
                at: Place(file: file, line: 1),
                key: "",
                problem: "the file is empty",
                mend: "write a profile into it"
            )
        }
        self.init(node: root, file: file, key: "")
    }

    private init(node: Node, file: String, key: String) {
        self.node = node
        self.file = file
        self.key = key
    }

    /// Where it stands.
    var place: Place {
        Place(file: file, line: node.mark?.line ?? 1)
    }

    /// Whether it is a single value rather than a list or a section.
    var isText: Bool {
        node.scalar != nil
    }

    /// Whether it is keys and values.
    var isSection: Bool {
        node.mapping != nil
    }

    /// The refusal of this value.
    func refusal(_ problem: String, mend: String) -> ProfileError {
        .refused(at: place, key: key, problem: problem, mend: mend)
    }

    /// A single value as it is written; YAML's own ideas of numbers and truth do not apply.
    func text() throws(ProfileError) -> String {
        guard let scalar = node.scalar else {
            throw refusal("is a list or a section", mend: "write a single value")
        }
        // `key:` with nothing behind it; an empty text is written "".
        if scalar.string.isEmpty, scalar.style == .plain {
            throw refusal("has no value", mend: "write one behind the colon")
        }
        return scalar.string
    }

    /// A list of values, in order.
    func list() throws(ProfileError) -> [Entry] {
        guard let sequence = node.sequence else {
            throw refusal("is no list", mend: "write a list, such as [] for an empty one")
        }
        return sequence.enumerated().map { index, node in
            Entry(node: node, file: file, key: "\(key)[\(index)]")
        }
    }

    /// All pairs of a section, in order.
    func pairs() throws(ProfileError) -> [Pair] {
        guard let mapping = node.mapping else {
            throw refusal("is no section", mend: "write \"key: value\" lines below it")
        }
        var pairs: [Pair] = []
        for (name, value) in mapping {
            let written = Entry(node: name, file: file, key: key)
            guard let name = name.scalar?.string else {
                throw written.refusal("has a key that is no word", mend: "write a word")
            }
            let path = key.isEmpty ? name : "\(key).\(name)"
            // A missing value has the line of whatever follows it; the key's own is better.
            let isAbsent = value.scalar.map { $0.string.isEmpty && $0.style == .plain } ?? false
            guard !isAbsent else {
                throw Entry(node: written.node, file: file, key: path)
                    .refusal("has no value", mend: "write one behind the colon")
            }
            pairs.append(Pair(name: name, value: Entry(node: value, file: file, key: path)))
        }
        return pairs
    }

    /// A section that may hold these keys and no others.
    func section(_ known: [String]) throws(ProfileError) -> Section {
        let pairs = try pairs()
        for pair in pairs where !known.contains(pair.name) {
            throw pair.value.refusal(
                "is an unknown key",
                mend: "remove it, or write one of: \(known.joined(separator: ", "))"
            )
        }
        return Section(whole: self, pairs: pairs)
    }
}

/// One key of a section, and what stands behind it.
struct Pair {
    let name: String
    let value: Entry
}
