// SPDX-License-Identifier: Apache-2.0
internal import Client
internal import JSON

/// Rows for a person, in columns that are as wide as they must be.
struct Table {
    private let head: [String]
    private var widths: [Int]
    private var hasHead = false

    init(_ head: [String]) {
        self.head = head
        widths = head.map(\.count)
    }

    /// Prints rows below those before; the head goes above the first. The last cell of a row is not
    /// padded.
    mutating func print(_ rows: [[String]]) {
        for row in rows {
            for (column, cell) in row.enumerated() {
                widths[column] = max(widths[column], cell.count)
            }
        }
        let lines = (hasHead ? [] : [head]) + rows
        hasHead = true
        let text = lines.map { line($0) + "\n" }.joined()
        Terminal.write(1, Array(text.utf8))
    }

    private func line(_ cells: [String]) -> String {
        let padded = zip(cells, widths).map { cell, width in
            cell + String(repeating: " ", count: width - cell.count)
        }
        return padded.dropLast().joined(separator: "  ") + "  " + (cells.last ?? "")
    }
}

extension Terminal {
    /// A line of an answer, on standard output.
    static func print(_ line: String) {
        write(1, Array((line + "\n").utf8))
    }

    /// One JSON value, on standard output.
    static func print(_ value: JSONValue) {
        write(1, value.bytes + [10])
    }
}
