// SPDX-License-Identifier: Apache-2.0

/// What a statement answered: rows of texts, with typed readings that name the column they refuse.
package struct Rows: Sendable {
    /// The columns' names, in the order of the statement.
    package let columns: [String]
    /// How many rows an INSERT, UPDATE, DELETE or SELECT touched; 0 for anything else.
    package let affected: Int

    private let cells: [String?]
    private let places: [String: Int]
    private let rowCount: Int

    /// Takes the cells, row after row.
    package init(columns: [String], cells: [String?], rowCount: Int, affected: Int) {
        precondition(cells.count == columns.count * rowCount)
        self.columns = columns
        self.cells = cells
        self.rowCount = rowCount
        self.affected = affected
        // Of two columns with one name, the first is meant.
        places = Dictionary(
            columns.enumerated().map { ($0.element, $0.offset) },
            uniquingKeysWith: { first, _ in first }
        )
    }

    /// The only row; throws when there is none or another.
    package func only() throws(PostgresError) -> Row {
        guard rowCount == 1 else {
            throw .malformed("one row was expected of PostgreSQL, and \(rowCount) came")
        }
        return self[0]
    }

    fileprivate func cell(_ row: Int, _ column: String) throws(PostgresError) -> String? {
        guard let place = places[column] else {
            throw .malformed("PostgreSQL's answer has no column \"\(column)\"")
        }
        return cells[row * columns.count + place]
    }
}

extension Rows: RandomAccessCollection {
    package var startIndex: Int { 0 }
    package var endIndex: Int { rowCount }
    package subscript(position: Int) -> Row {
        precondition(indices.contains(position))
        return Row(rows: self, index: position)
    }
}

/// One row of an answer.
package struct Row: Sendable {
    fileprivate let rows: Rows
    fileprivate let index: Int

    /// The column's text; nil when it is NULL.
    package func optionalText(_ column: String) throws(PostgresError) -> String? {
        try rows.cell(index, column)
    }

    /// The column's text.
    package func text(_ column: String) throws(PostgresError) -> String {
        try present(try optionalText(column), column)
    }

    /// The column as an integer; nil when it is NULL.
    package func optionalInt(_ column: String) throws(PostgresError) -> Int? {
        try read(column, as: "an integer") { Int($0) }
    }

    /// The column as an integer.
    package func int(_ column: String) throws(PostgresError) -> Int {
        try present(try optionalInt(column), column)
    }

    /// The column as a number with a fraction; nil when it is NULL.
    package func optionalDouble(_ column: String) throws(PostgresError) -> Double? {
        try read(column, as: "a number") { Double($0) }
    }

    /// The column as a number with a fraction.
    package func double(_ column: String) throws(PostgresError) -> Double {
        try present(try optionalDouble(column), column)
    }

    /// The column as a truth value; nil when it is NULL.
    package func optionalBool(_ column: String) throws(PostgresError) -> Bool? {
        try read(column, as: "a truth value") { ["t": true, "f": false][$0] }
    }

    /// The column as a truth value.
    package func bool(_ column: String) throws(PostgresError) -> Bool {
        try present(try optionalBool(column), column)
    }

    private func present<Value>(
        _ value: Value?,
        _ column: String
    ) throws(PostgresError) -> Value {
        guard let value else { throw .malformed("PostgreSQL's column \"\(column)\" is NULL") }
        return value
    }

    private func read<Value>(
        _ column: String,
        as kind: String,
        _ reading: (String) -> Value?
    ) throws(PostgresError) -> Value? {
        guard let text = try optionalText(column) else { return nil }
        guard let value = reading(text) else {
            throw .malformed("PostgreSQL's column \"\(column)\" is not \(kind)")
        }
        return value
    }
}
