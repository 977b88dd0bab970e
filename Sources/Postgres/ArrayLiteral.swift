// SPDX-License-Identifier: Apache-2.0

/// A PostgreSQL array of one dimension as text, for a parameter: `{"a","b",NULL}`.
///
/// Every element is quoted, so that none is taken for NULL, for a brace or for a separator
/// (PostgreSQL 15 manual, 8.15.6).
package enum ArrayLiteral {
    /// An array of texts; nil is NULL.
    package static func text(_ elements: some Sequence<String?>) -> String {
        let (quote, backslash) = (UInt8(ascii: "\""), UInt8(ascii: "\\"))
        var literal = [UInt8(ascii: "{")]
        for element in elements {
            if literal.count > 1 { literal.append(UInt8(ascii: ",")) }
            guard let element else {
                literal += "NULL".utf8
                continue
            }
            // By bytes: an element may be megabytes, and no byte of a longer character is ASCII.
            literal.reserveCapacity(literal.count + element.utf8.count + 2)
            literal.append(quote)
            for byte in element.utf8 {
                if byte == quote || byte == backslash { literal.append(backslash) }
                literal.append(byte)
            }
            literal.append(quote)
        }
        literal.append(UInt8(ascii: "}"))
        return String(decoding: literal, as: UTF8.self)
    }

    /// An array of texts.
    package static func text(_ elements: some Sequence<String>) -> String {
        text(elements.lazy.map(Optional.some))
    }

    /// An array of integers.
    package static func integers(_ elements: some Sequence<some BinaryInteger>) -> String {
        "{" + elements.map { String($0) }.joined(separator: ",") + "}"
    }
}
