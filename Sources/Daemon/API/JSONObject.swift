// SPDX-License-Identifier: Apache-2.0

/// An object as the API writes it: every key is there, and what has no value is null.
///
/// A synthesized encoder leaves out what is nil, and then a caller cannot tell "none" from "never
/// heard of".
struct JSONObject: Encodable, ExpressibleByDictionaryLiteral {
    private var members: [(key: String, value: any Encodable)]

    init(dictionaryLiteral members: (String, any Encodable)...) {
        self.members = members.map { ($0.0, $0.1) }
    }

    /// One member for each of `elements`; the last of several with one key counts.
    init<Element>(_ elements: [Element], _ member: (Element) -> (String, any Encodable)) {
        members = elements.map { member($0) }
    }

    /// Adds one member.
    mutating func add(_ key: String, _ value: any Encodable) {
        members.append((key, value))
    }

    func encode(to encoder: any Encoder) throws {
        var body = encoder.container(keyedBy: AnyKey.self)
        for (key, value) in members { try body.encode(value, forKey: AnyKey(key)) }
    }
}
