// SPDX-License-Identifier: Apache-2.0

/// A JSON value whose objects keep the order of their keys, so that the same policy is the same
/// text and a person reads it in a sensible order.
///
/// Foundation's encoder would do; it costs a command more to load than this does to read.
indirect enum JSON {
    case string(String)
    case number(UInt64)
    case array([JSON])
    case object([Member])

    /// One pair of an object.
    struct Member {
        let key: String
        let value: JSON

        init(_ key: String, _ value: JSON) {
            self.key = key
            self.value = value
        }
    }

    /// The text, indented by two spaces a level. What holds no list or object is one line.
    func text(indentation: String = "") -> String {
        switch self {
        case .string(let string): Self.quoted(string)
        case .number(let number): String(number)
        case .array(let values):
            Self.block(values.map { ("", $0) }, "[", "]", indentation)
        case .object(let pairs):
            Self.block(pairs.map { (Self.quoted($0.key) + ": ", $0.value) }, "{", "}", indentation)
        }
    }

    private var isSimple: Bool {
        switch self {
        case .string, .number: true
        case .array(let values): values.isEmpty
        case .object(let pairs): pairs.isEmpty
        }
    }

    private static func block(
        _ items: [(label: String, value: JSON)],
        _ open: String,
        _ close: String,
        _ indentation: String
    ) -> String {
        if items.allSatisfy(\.value.isSimple) {
            let line = items.map { $0.label + $0.value.text() }.joined(separator: ", ")
            // What would run off a screen is broken up after all.
            if line.count <= 100 { return open + line + close }
        }
        let inner = indentation + "  "
        let lines = items.map { inner + $0.label + $0.value.text(indentation: inner) }
        return "\(open)\n\(lines.joined(separator: ",\n"))\n\(indentation)\(close)"
    }

    /// The escapes that RFC 8259 asks for, and no others.
    private static func quoted(_ string: String) -> String {
        var quoted = "\""
        for scalar in string.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "\u{0}"..<"\u{20}":
                let digits = String(scalar.value, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}
