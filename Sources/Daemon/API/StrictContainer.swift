// SPDX-License-Identifier: Apache-2.0

/// Any key of a JSON object.
struct AnyKey: CodingKey, Hashable {
    let stringValue: String
    var intValue: Int? { nil }
    init(_ name: String) { stringValue = name }
    init?(stringValue: String) { self.init(stringValue) }
    init?(intValue: Int) { nil }
}

extension Decoder {
    /// The object's container, when it has no key but these; otherwise an error that names the key.
    func strictContainer(_ what: String, _ known: [String]) throws -> KeyedDecodingContainer<AnyKey> {
        let container = try container(keyedBy: AnyKey.self)
        if let unknown = container.allKeys.map(\.stringValue).sorted()
            .first(where: { !known.contains($0) })
        {
            let names = known.joined(separator: ", ")
            throw APIError.invalid("\(what) has no key '\(unknown)' (known: \(names))")
        }
        return container
    }
}

extension KeyedDecodingContainer<AnyKey> {
    /// The value of a key, or nil when the key is absent. Null is a value of the wrong type.
    func value<Value: Decodable>(_ name: String, _ type: Value.Type = Value.self) throws -> Value? {
        let key = AnyKey(name)
        return contains(key) ? try decode(Value.self, forKey: key) : nil
    }
}
