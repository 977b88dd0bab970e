// SPDX-License-Identifier: Apache-2.0
internal import Yams

/// One value of a YAML file, which knows where it stands.
///
/// Recipes and the store's own files are read through it, so every refusal names file, line, key.
struct Entry {
    private let node: Node
    private let file: String
    private let key: String

    /// Parses `yaml`; `file` is what refusals call it.
    init(yaml: String, file: String) throws(DocumentError) {
        let root: Node?
        do {
            root = try Yams.compose(yaml: yaml, .default, .default, .utf8)
        } catch {
            throw DocumentError(error, file: file)
        }
        guard let root else {
            throw DocumentError(file: file, line: 1, key: "", problem: "the file is empty")
        }
        self.init(node: root, file: file, key: "")
    }

    private init(node: Node, file: String, key: String) {
        self.node = node
        self.file = file
        self.key = key
    }

    /// The refusal of this value.
    func refusal(_ problem: String) -> DocumentError {
        DocumentError(file: file, line: node.mark?.line ?? 1, key: key, problem: problem)
    }

    /// A single value as it is written; YAML's own ideas of numbers and truth do not apply.
    func text() throws(DocumentError) -> String {
        guard let scalar = node.scalar else {
            throw refusal("is a list or a section: write a single value")
        }
        guard !scalar.string.isEmpty || scalar.style != .plain else {
            throw refusal("has no value: write one behind the colon")
        }
        guard !scalar.string.utf8.contains(0) else { throw refusal("has a NUL in it") }
        return scalar.string
    }

    /// A list of values, in order; no longer than anything sensible.
    func list() throws(DocumentError) -> [Entry] {
        guard let sequence = node.sequence else {
            throw refusal("is no list: write a list, such as [] for an empty one")
        }
        guard sequence.count <= 1000 else { throw refusal("has more than 1000 items") }
        return sequence.enumerated().map { index, node in
            Entry(node: node, file: file, key: "\(key)[\(index)]")
        }
    }

    /// All pairs of a section; the parser has refused keys that are there twice.
    func pairs() throws(DocumentError) -> [String: Entry] {
        guard let mapping = node.mapping else {
            throw refusal("is no section: write \"key: value\" lines below it")
        }
        var pairs: [String: Entry] = [:]
        for (name, value) in mapping {
            guard let text = name.scalar?.string else {
                throw Entry(node: name, file: file, key: key).refusal("has a key that is no word")
            }
            let path = key.isEmpty ? text : "\(key).\(text)"
            // A missing value has the line of whatever follows it; the key's own is better.
            let isAbsent = value.scalar.map { $0.string.isEmpty && $0.style == .plain } ?? false
            pairs[text] = Entry(node: isAbsent ? name : value, file: file, key: path)
            guard !isAbsent else {
                throw Entry(node: name, file: file, key: path)
                    .refusal("has no value: write one behind the colon")
            }
        }
        return pairs
    }

    /// A section that has exactly these keys.
    func section(_ keys: [String]) throws(DocumentError) -> Section {
        let pairs = try pairs()
        // In the file's order, so that the first mistake is the one that is told.
        let unknown = pairs.filter { !keys.contains($0.key) }.map(\.value)
        if let first = unknown.min(by: { $0.line < $1.line }) {
            throw first.refusal("is an unknown key: known are \(keys.joined(separator: ", "))")
        }
        return Section(whole: self, pairs: pairs)
    }

    /// The entry's line.
    private var line: Int { node.mark?.line ?? 1 }

    /// The refusal of a section that lacks `name`.
    func lacks(_ name: String) -> DocumentError {
        let path = key.isEmpty ? name : "\(key).\(name)"
        return DocumentError(
            file: file,
            line: line,
            key: path,
            problem: "is missing: nothing has a default"
        )
    }
}
