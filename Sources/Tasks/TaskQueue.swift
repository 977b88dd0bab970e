// SPDX-License-Identifier: Apache-2.0
internal import JSON
internal import Kernel
package import Postgres

/// The queue in PostgreSQL, as a worker uses it: the SQL functions of `Schema/`, typed.
///
/// Three connections, so that nothing of one kind waits for another: `work` leases and settles,
/// `beats` is for heartbeats alone, and `watch` listens and reads.
package struct TaskQueue: Sendable {
    package let work: Client
    package let beats: Client
    package let watch: Client

    /// What one statement may take.
    private static let deadline = Duration.seconds(15)

    package init(work: Client, beats: Client, watch: Client) {
        self.work = work
        self.beats = beats
        self.watch = watch
    }

    /// Throws when one of the connections cannot be used now.
    package func check() async throws(TaskError) {
        for client in [work, watch] { _ = try await ask(client, Statements.check, []) }
    }

    /// One JSON value, as the database makes it; nil when there is no row or it is NULL.
    package func json(
        _ statement: Statement,
        _ parameters: [String?]
    ) async throws(TaskError) -> String? {
        let rows = try await ask(watch, statement, parameters)
        guard let row = rows.first else { return nil }
        return try Self.reading { () throws(PostgresError) in try row.optionalText("json") }
    }

    /// Sends a statement and waits for its rows.
    func ask(
        _ client: Client,
        _ statement: Statement,
        _ parameters: [String?],
        within deadline: Duration = deadline
    ) async throws(TaskError) -> Rows {
        do throws(PostgresError) {
            return try await client.query(statement, parameters, deadline: deadline)
        } catch {
            throw TaskError(error)
        }
    }

    /// Reads an answer whose columns the schema promises.
    static func reading<Value>(
        _ body: () throws(PostgresError) -> Value
    ) throws(TaskError) -> Value {
        do throws(PostgresError) { return try body() } catch { throw .database(error) }
    }

    /// The leases that an answer names.
    static func keys(_ rows: Rows) throws(TaskError) -> [LeaseKey] {
        try reading { () throws(PostgresError) in
            var keys: [LeaseKey] = []
            for row in rows { keys.append(try row.leaseKey()) }
            return keys
        }
    }
}

extension Row {
    /// The lease that a row is about.
    func leaseKey() throws(PostgresError) -> LeaseKey {
        LeaseKey(task: try int("task_id"), fence: try int("fence"))
    }
}
