// SPDX-License-Identifier: Apache-2.0

/// Why a statement gave no rows.
///
/// Each case says what is known of the statement's effect: `server`, `notConnected`, `full` and
/// `malformed` parameters had none; after `lost` and `late` it may or may not have happened.
package enum PostgresError: Error, Sendable, Hashable {
    /// No connection could be made, in libpq's words.
    case unreachable(String)
    /// The server refused the statement, which had no effect.
    case server(sqlState: String, message: String, detail: String?)
    /// The connection ended with the statement under way: whether it took effect is unknown.
    case lost(String)
    /// There is no connection, for this reason. Nothing was sent.
    case notConnected(String)
    /// No answer in time: whether it took effect is unknown.
    case late(doing: String, after: Duration)
    /// As many statements wait as may. Nothing was sent.
    case full(limit: Int)
    /// Something is not as it must be: a row, a parameter, a connection string.
    case malformed(String)
}

extension PostgresError {
    /// The server's five characters, when it was the server that refused.
    package var sqlState: String? {
        guard case .server(let sqlState, _, _) = self else { return nil }
        return sqlState
    }

    /// Whether nothing came of the statement for sure, so that it may be sent again as it is. Not
    /// for a script that commits in between.
    package var hadNoEffect: Bool {
        switch self {
        case .server, .notConnected, .unreachable, .full, .malformed: true
        case .lost, .late: false
        }
    }

    /// Whether the same statement may succeed a little later.
    ///
    /// By the classes of appendix A of PostgreSQL's manual. `lost` and `late` are transient too;
    /// whether the statement bears to be sent twice, only its author knows.
    package var isTransient: Bool {
        switch self {
        case .unreachable, .lost, .notConnected, .late, .full: true
        case .malformed: false
        case .server(let sqlState, _, _): Self.isTransient(sqlState)
        }
    }

    /// Whether this server is the wrong one to talk to: a standby, or one that is going down.
    package var wantsAnotherServer: Bool {
        guard let sqlState else { return false }
        return sqlState == "25006" || sqlState.hasPrefix("57P0")
    }

    /// Whether a constraint said that it is there already (23505).
    package var isUniqueViolation: Bool { sqlState == "23505" }

    private static func isTransient(_ sqlState: String) -> Bool {
        switch sqlState {
        // A server that comes or goes, or is none to write to; a circle of waiting; and what took
        // too long, or could not get a lock, or was hindered by the disk.
        case "57P01", "57P02", "57P03", "25006", "40001", "40P01", "57014", "55P03", "58030": true
        default: sqlState.hasPrefix("08") || sqlState.hasPrefix("53")
        }
    }
}

extension PostgresError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .unreachable(let reason): "cannot connect to PostgreSQL: \(reason.onOneLine)"
        case .server(let sqlState, let message, let detail):
            "PostgreSQL refused: \(message.onOneLine)"
                + (detail.map { " (\($0.onOneLine))" } ?? "") + " [\(sqlState)]"
        case .lost(let reason): "the connection to PostgreSQL was lost: \(reason.onOneLine)"
        case .notConnected(let reason): "not connected to PostgreSQL: \(reason.onOneLine)"
        case .late(let doing, let after):
            "PostgreSQL did not answer within \(Int(after.seconds * 1000)) ms: \(doing.onOneLine)"
        case .full(let limit): "too much waits for PostgreSQL already (limit \(limit))"
        case .malformed(let what): what.onOneLine
        }
    }
}

extension Duration {
    fileprivate var seconds: Double { self / .seconds(1) }
}

extension String {
    /// The same text with its line ends made semicolons, as one line of a log wants it.
    package var onOneLine: String {
        split(whereSeparator: \.isNewline)
            .map { $0.trimming(while: { $0 == " " || $0 == "\t" }) }
            .filter { !$0.isEmpty }
            .joined(separator: "; ")
    }
}

extension Substring {
    fileprivate func trimming(while isBlank: (Character) -> Bool) -> Substring {
        var rest = drop(while: isBlank)
        while let last = rest.last, isBlank(last) { rest.removeLast() }
        return rest
    }
}
