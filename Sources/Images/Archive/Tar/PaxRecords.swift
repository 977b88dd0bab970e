// SPDX-License-Identifier: Apache-2.0

/// What a pax header (`x` or `g`) says of the entry behind it: lines of `LENGTH KEY=VALUE`.
struct PaxRecords {
    /// The last value of each key.
    private var values: [String: [UInt8]] = [:]

    /// Reads them; nil when that is not what the bytes are.
    init?(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            guard let blank = rest.prefix(12).firstIndex(of: UInt8(ascii: " ")),
                let length = Int(String(decoding: rest[..<blank], as: UTF8.self)),
                length <= rest.count, rest.startIndex + length > blank + 1
            else { return nil }
            let record = rest[(blank + 1)..<(rest.startIndex + length)]
            guard record.last == UInt8(ascii: "\n"),
                let equals = record.firstIndex(of: UInt8(ascii: "="))
            else { return nil }
            let key = String(decoding: record[..<equals], as: UTF8.self)
            values[key] = Array(record[(equals + 1)...].dropLast())
            rest = rest[(rest.startIndex + length)...]
        }
    }

    var path: [UInt8]? { values["path"] }

    var linkPath: [UInt8]? { values["linkpath"] }

    /// The size in bytes, if there is one; throws nothing, for nil in it is no number.
    var size: Int?? {
        guard let text = values["size"] else { return nil }
        let isNumber = !text.isEmpty && text.allSatisfy(\.isDecimal)
        return .some(isNumber ? Int(String(decoding: text, as: UTF8.self)) : nil)
    }

    /// Whether the entry's bytes are not its file's.
    var isSparse: Bool { values.keys.contains { $0.hasPrefix("GNU.sparse.") } }
}
