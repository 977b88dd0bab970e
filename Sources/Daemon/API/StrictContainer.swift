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
    func strictContainer(_ what: String, _ known: [String]) throws -> KeyedDecodingContainer<AnyKey>
    {
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

    /// The whole number of a key, or nil when the key is absent.
    func number<Number: FixedWidthInteger>(_ name: String) throws -> Number? {
        let key = AnyKey(name)
        guard contains(key) else { return nil }
        do {
            if let number = Number(exactly: try decode(UInt64.self, forKey: key)) { return number }
        } catch {
            // A string, a fraction, something below 0: all the same to the caller. (The decoder
            // has errors of its own for numbers, which become a DecodingError further up.)
        }
        throw APIError.invalid("'\(name)' is not a whole number between 0 and \(Number.max)")
    }
}
