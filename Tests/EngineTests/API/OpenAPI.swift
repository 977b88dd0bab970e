// SPDX-License-Identifier: Apache-2.0
import Yams

/// `docs/openapi.yaml`, as far as a test needs it.
struct OpenAPI: Sendable {
    /// An answer that is documented.
    struct Operation: Sendable, Hashable {
        let method: String
        let path: String
        let status: String
    }

    private let document: JSON

    /// Reads the document. Every scalar in it is kept as text.
    init(yaml: String) throws {
        document = try YAMLDecoder().decode(JSON.self, from: yaml)
    }

    var paths: Set<String> { document["paths"]?.keys ?? [] }

    /// Every answer of every operation.
    var operations: Set<Operation> {
        var all: Set<Operation> = []
        for path in paths {
            let methods = document["paths"]?[path]
            for method in methods?.keys ?? [] {
                for status in methods?[method]?["responses"]?.keys ?? [] {
                    all.insert(Operation(method: method, path: path, status: status))
                }
            }
        }
        return all
    }

    /// The documented answer.
    func response(_ operation: Operation) -> JSON? {
        document["paths"]?[operation.path]?[operation.method]?["responses"]?[operation.status]
    }

    /// The schema with this name.
    func schema(named name: String) -> JSON? {
        document["components"]?["schemas"]?[name]
    }

    /// Where `value` is not what `schema` says, in words.
    func problems(_ value: JSON, _ schema: JSON, at path: String = "") -> [String] {
        if let reference = schema["$ref"]?.text, let name = reference.split(separator: "/").last {
            guard let schema = self.schema(named: String(name)) else { return ["no \(name)"] }
            return problems(value, schema, at: path)
        }
        if let choices = schema["oneOf"]?.elements {
            let all = choices.map { problems(value, $0, at: path) }
            let fitting = all.filter(\.isEmpty).count
            return fitting == 1 ? [] : ["\(path) fits \(fitting) of its schemas: \(all)"]
        }
        let types = schema["type"].map { $0.text.map { [$0] } ?? $0.elements.compactMap(\.text) }
        if let types, !types.contains(where: { Self.fits(value, $0) }) {
            return ["\(path) is not \(types): \(value)"]
        }
        if let words = schema["enum"]?.elements.compactMap(\.text), let text = value.text,
            !words.contains(text)
        {
            return ["\(path) is '\(text)', which is not documented"]
        }
        switch value {
        case .object(let members): return problems(members, schema, at: path)
        case .array(let elements):
            guard let items = schema["items"] else { return [] }
            return elements.enumerated().flatMap { problems($1, items, at: "\(path)[\($0)]") }
        default: return []
        }
    }

    private func problems(_ members: [String: JSON], _ schema: JSON, at path: String) -> [String] {
        let required = schema["required"]?.elements.compactMap(\.text) ?? []
        var found = required.filter { members[$0] == nil }.map { "\(path).\($0) is missing" }
        for (name, member) in members {
            if let known = schema["properties"]?[name] {
                found += problems(member, known, at: "\(path).\(name)")
            } else if schema["additionalProperties"]?.text == "false" {
                found.append("\(path).\(name) is not documented")
            } else if let other = schema["additionalProperties"] {
                found += problems(member, other, at: "\(path).\(name)")
            }
        }
        return found
    }

    private static func fits(_ value: JSON, _ type: String) -> Bool {
        switch (value, type) {
        case (.null, "null"), (.bool, "boolean"), (.string, "string"), (.array, "array"),
            (.object, "object"), (.number, "number"):
            true
        case (.number(let number), "integer"): number == number.rounded()
        default: false
        }
    }
}
