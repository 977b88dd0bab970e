// SPDX-License-Identifier: Apache-2.0

/// Text broken at spaces.
enum Wrapped {
    private static let columns = 100

    /// `text` in lines of 100 columns, each indented; a word that is longer has a line of its own.
    static func text(_ text: String, indentation: String = "") -> String {
        var lines: [String] = []
        var line = ""
        for word in text.split(whereSeparator: \.isWhitespace) {
            if !line.isEmpty, indentation.count + line.count + 1 + word.count > columns {
                lines.append(indentation + line)
                line = ""
            }
            line += line.isEmpty ? String(word) : " \(word)"
        }
        if !line.isEmpty { lines.append(indentation + line) }
        return lines.joined(separator: "\n")
    }
}
