// SPDX-License-Identifier: Apache-2.0

/// A request's path and query, percent-encoded piece by piece.
struct RequestPath {
    private(set) var text = ""
    private var hasQuery = false

    /// A fixed path, such as "/containers/create".
    init(_ fixed: StaticString) {
        text = "\(fixed)"
    }

    /// A path with somebody's name in it: "/containers/", a name, "/start".
    ///
    /// Slashes in the name stay, for names of images have them; the name was checked before.
    init(_ before: StaticString, _ name: String, _ after: StaticString = "") {
        text = "\(before)\(Self.encoded(name, alsoAllowed: "/:@"))\(after)"
    }

    /// The same with another parameter.
    func with(_ key: StaticString, _ value: String) -> RequestPath {
        var path = self
        path.text += "\(hasQuery ? "&" : "?")\(key)=\(Self.encoded(value, alsoAllowed: ""))"
        path.hasQuery = true
        return path
    }

    /// RFC 3986: whatever is not unreserved is %XX.
    private static func encoded(_ text: String, alsoAllowed: StaticString) -> String {
        let allowed = Set("-._~\(alsoAllowed)".utf8)
        let digits = Array("0123456789ABCDEF".utf8)
        var out: [UInt8] = []
        for byte in text.utf8 {
            if byte.isLetterOrDigit || allowed.contains(byte) {
                out.append(byte)
            } else {
                out += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: out, as: UTF8.self)
    }
}
