// SPDX-License-Identifier: Apache-2.0

/// Other people's words, fit for one line of a log.
enum Visible {
    /// The longest quotation, in bytes.
    static let limit = 500

    /// The bytes as a text: invalid UTF-8 repaired, control and formatting characters spelled out,
    /// at most `limit` bytes of it.
    static func text(_ bytes: some Collection<UInt8>, limit: Int = limit) -> String {
        // A piece of what may be megabytes: no character is longer than four bytes.
        text(String(decoding: bytes.prefix(limit * 4), as: UTF8.self), limit: limit)
    }

    /// The same for a text.
    static func text(_ text: some StringProtocol, limit: Int = limit) -> String {
        var visible = ""
        var room = limit - ellipsis.utf8.count
        for scalar in text.unicodeScalars {
            let next = spelling(of: scalar)
            guard next.utf8.count <= room else { return visible + ellipsis }
            visible += next
            room -= next.utf8.count
        }
        return visible
    }

    private static let ellipsis = "…"

    private static func spelling(of scalar: Unicode.Scalar) -> String {
        switch scalar {
        case "\n": return "\\n"
        case "\r": return "\\r"
        case "\t": return "\\t"
        default: break
        }
        switch scalar.properties.generalCategory {
        // What moves a terminal's cursor or turns its writing round.
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse,
            .unassigned:
            return "\\u{\(String(scalar.value, radix: 16))}"
        default: return String(scalar)
        }
    }
}
