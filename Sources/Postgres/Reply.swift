// SPDX-License-Identifier: Apache-2.0
internal import CPostgres

/// One thing that libpq hands out.
enum Reply {
    case rows(Rows)
    case refused(PostgresError)
    /// The server ends the session, for this reason.
    case farewell(String)
    /// Left out by the server, because the one before it in the pipeline was refused.
    case skipped
    /// Everything before is answered and committed.
    case synchronized
    /// COPY: it would put the connection into a state that nothing here leaves again.
    case copying

    /// Reads one result, which stays the caller's.
    init(_ result: OpaquePointer) {
        switch PQresultStatus(result) {
        case PGRES_TUPLES_OK, PGRES_COMMAND_OK, PGRES_EMPTY_QUERY:
            self = .rows(Rows(result))
        case PGRES_PIPELINE_SYNC: self = .synchronized
        case PGRES_PIPELINE_ABORTED: self = .skipped
        case PGRES_COPY_IN, PGRES_COPY_OUT, PGRES_COPY_BOTH: self = .copying
        default: self = Self.failure(result)
        }
    }

    private static func failure(_ result: OpaquePointer) -> Reply {
        let sqlState = String(cString: cpq_error_sqlstate(result))
        let message = String(cString: cpq_error_message(result))
        // An error without a state is libpq's own: the connection broke.
        if sqlState.isEmpty || cpq_error_is_fatal(result) != 0 { return .farewell(message) }
        let detail = String(cString: cpq_error_detail(result))
        return .refused(
            .server(
                sqlState: sqlState,
                message: message,
                detail: detail.isEmpty ? nil : detail
            )
        )
    }
}

extension Rows {
    /// Copies what a successful result holds.
    fileprivate init(_ result: OpaquePointer) {
        let columns = (0..<PQnfields(result)).map { String(cString: PQfname(result, $0)) }
        let rowCount = Int(PQntuples(result))
        var cells: [String?] = []
        cells.reserveCapacity(rowCount * columns.count)
        for row in 0..<Int32(rowCount) {
            for column in 0..<Int32(columns.count) {
                cells.append(Self.cell(result, row, column))
            }
        }
        let affected = Int(String(cString: PQcmdTuples(result))) ?? 0
        self.init(columns: columns, cells: cells, rowCount: rowCount, affected: affected)
    }

    private static func cell(_ result: OpaquePointer, _ row: Int32, _ column: Int32) -> String? {
        guard PQgetisnull(result, row, column) == 0, let text = PQgetvalue(result, row, column)
        else { return nil }
        let bytes = UnsafeRawBufferPointer(
            start: text,
            count: Int(PQgetlength(result, row, column))
        )
        return String(decoding: bytes, as: UTF8.self)
    }
}
