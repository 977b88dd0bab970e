// SPDX-License-Identifier: Apache-2.0
internal import JSON

/// A JSON object out of an answer, read with suspicion.
///
/// What is missing or null is nil; what is there and of another type is an error that names it by
/// its whole path, as in 'State.Pid'.
struct Reading {
    private let members: [String: JSONValue]
    private let path: String

    /// The object that an answer consists of.
    init(_ answer: EngineAnswer) throws(DockerError.Reason) {
        try self.init(try Self.value(answer), "")
    }

    private init(_ value: JSONValue, _ path: String) throws(DockerError.Reason) {
        guard case .object(let members) = value else {
            throw .unreadable(path.isEmpty ? "it is no object" : "'\(path)' is no object")
        }
        self.members = members
        self.path = path
    }

    /// The objects that an answer consists of.
    static func all(_ answer: EngineAnswer) throws(DockerError.Reason) -> [Reading] {
        switch try value(answer) {
        // Podman has written this for an empty list.
        case .null: return []
        case .array(let elements): return try readings(elements, "")
        default: throw .unreadable("it is no list")
        }
    }

    private static func value(_ answer: EngineAnswer) throws(DockerError.Reason) -> JSONValue {
        if let type = answer.header.contentType, !type.lowercased().hasPrefix("application/json") {
            throw .unreadable("it is '\(Visible.text(type))', and no JSON")
        }
        guard let value = answer.json else { throw .unreadable("it is no JSON") }
        return value
    }

    private static func readings(
        _ elements: [JSONValue],
        _ path: String
    ) throws(DockerError.Reason) -> [Reading] {
        var readings: [Reading] = []
        for (index, element) in elements.enumerated() {
            readings.append(try Reading(element, "\(path)[\(index)]"))
        }
        return readings
    }

    // MARK: Values

    /// The value as it is, for others to look into.
    func raw(_ key: String) -> JSONValue? {
        members[key] == .null ? nil : members[key]
    }

    func text(_ key: String) throws(DockerError.Reason) -> String? {
        guard let value = raw(key) else { return nil }
        guard let text = value.text else { throw wrong(key, "no text") }
        return text
    }

    func flag(_ key: String) throws(DockerError.Reason) -> Bool? {
        guard let value = raw(key) else { return nil }
        guard case .bool(let flag) = value else { throw wrong(key, "neither true nor false") }
        return flag
    }

    func integer(_ key: String) throws(DockerError.Reason) -> Int? {
        guard let value = raw(key) else { return nil }
        guard case .number(let text) = value, let integer = Int(text) ?? Self.exactly(text) else {
            throw wrong(key, "no whole number that is kept in 64 bits")
        }
        return integer
    }

    /// A whole number in another spelling: 1e3.
    private static func exactly(_ text: String) -> Int? {
        Double(text).flatMap { Int(exactly: $0) }
    }

    func object(_ key: String) throws(DockerError.Reason) -> Reading? {
        guard let value = raw(key) else { return nil }
        return try Reading(value, name(of: key))
    }

    /// Empty when it is missing.
    func objects(_ key: String) throws(DockerError.Reason) -> [Reading] {
        try Self.readings(try elements(key), name(of: key))
    }

    /// Empty when it is missing.
    func texts(_ key: String) throws(DockerError.Reason) -> [String] {
        var texts: [String] = []
        for element in try elements(key) {
            guard let text = element.text else { throw wrong(key, "no list of texts") }
            texts.append(text)
        }
        return texts
    }

    /// An object of texts, such as labels. Empty when it is missing.
    func dictionary(_ key: String) throws(DockerError.Reason) -> [String: String] {
        guard let value = raw(key) else { return [:] }
        guard case .object(let members) = value else { throw wrong(key, "no object") }
        var texts: [String: String] = [:]
        for (name, value) in members {
            guard let text = value.text else { throw wrong(key, "no object of texts") }
            texts[name] = text
        }
        return texts
    }

    /// The names in an object, sorted. Empty when it is missing.
    func keys(_ key: String) throws(DockerError.Reason) -> [String] {
        guard let value = raw(key) else { return [] }
        guard case .object(let members) = value else { throw wrong(key, "no object") }
        return members.keys.sorted()
    }

    private func elements(_ key: String) throws(DockerError.Reason) -> [JSONValue] {
        guard let value = raw(key) else { return [] }
        guard case .array(let elements) = value else { throw wrong(key, "no list") }
        return elements
    }

    // MARK: What must be there

    func requiredText(_ key: String) throws(DockerError.Reason) -> String {
        guard let text = try text(key), !text.isEmpty else { throw wrong(key, "missing") }
        return text
    }

    func requiredObject(_ key: String) throws(DockerError.Reason) -> Reading {
        guard let object = try object(key) else { throw wrong(key, "missing") }
        return object
    }

    // MARK: Errors

    /// The error that says what `key` is and should not be.
    func wrong(_ key: String, _ what: String) -> DockerError.Reason {
        .unreadable("'\(name(of: key))' is \(what)")
    }

    private func name(of key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }
}

extension DockerClient {
    /// Reads an answer, with errors that name the call.
    static func reading<Value>(
        _ call: DockerError.Call,
        _ body: () throws(DockerError.Reason) -> Value
    ) throws(DockerError) -> Value {
        do throws(DockerError.Reason) {
            return try body()
        } catch {
            throw DockerError(call, error)
        }
    }
}
