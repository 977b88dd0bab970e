// SPDX-License-Identifier: Apache-2.0

/// JSON as a text, put together by hand.
enum JSONText {
    /// A string. What is below a space is escaped, and nothing else needs to be (RFC 8259, 7).
    static func string(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": quoted += "\\\(scalar)"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }

    /// An object; the values are JSON already, and what is nil is left out.
    static func object(_ members: KeyValuePairs<String, String?>) -> String {
        "{"
            + members.compactMap { key, value in value.map { "\(string(key)):\($0)" } }
            .joined(separator: ",") + "}"
    }

    /// A list; the elements are JSON already.
    static func list(_ elements: some Sequence<String>) -> String {
        "[" + elements.joined(separator: ",") + "]"
    }
}
