// SPDX-License-Identifier: Apache-2.0
import Glibc
import Kernel
import Testing

@testable import Postgres

/// The server of the test run, which scripts/with-postgres starts.
enum Database {
    /// The connection string; nil without a server.
    static let string = getenv("SANDBOXD_TEST_DATABASE").map { String(cString: $0) }

    /// The one loop of all these tests: its thread never ends.
    static let loop = Result { try EventLoop() }

    /// Where the server is.
    static func target(_ more: String = "") throws -> ConnectionTarget {
        try ConnectionTarget("\(try #require(string)) \(more)")
    }

    /// The directory of its socket.
    static func directory() throws -> String {
        let words = try #require(string).split(separator: " ")
        let host = try #require(words.first { $0.hasPrefix("host=") })
        return String(host.dropFirst("host=".count))
    }

    /// Runs `body` with a connection and closes it.
    static func withConnection<Value>(
        limits: Connection.Limits = Connection.Limits(),
        notified: @escaping @Sendable (Postgres.Notification) -> Void = { _ in },
        _ body: (Connection) async throws -> Value
    ) async throws -> Value {
        let connection = Connection(on: try loop.get(), limits: limits, notified: notified)
        try await connection.connect(Connection.Origin(try target()), deadline: .seconds(10))
        do {
            let value = try await body(connection)
            await connection.close()
            return value
        } catch {
            await connection.close()
            throw error
        }
    }

    /// Runs `body` beside a running client and closes it.
    static func withClient<Value: Sendable>(
        _ client: Client,
        _ body: (Client) async throws -> Value
    ) async throws -> Value {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await client.run() }
            do {
                let value = try await body(client)
                await client.close()
                return value
            } catch {
                await client.close()
                throw error
            }
        }
    }

    /// Waits until a backend waits for an advisory lock.
    static func waitUntilLocked(_ backend: Int32) async throws {
        try await withConnection { try await wait($0, until: backend, "wait_event = 'advisory'") }
    }

    /// Waits until a backend executes something.
    static func wait(_ connection: Connection, untilBusy backend: Int32) async throws {
        try await wait(connection, until: backend, "state = 'active'")
    }

    /// Waits, on the server's side and at most ten seconds, for a state of a backend.
    private static func wait(
        _ connection: Connection,
        until backend: Int32,
        _ condition: String
    ) async throws {
        try await connection.script(
            """
            DO $$ BEGIN
                FOR i IN 1..2000 LOOP
                    PERFORM pg_stat_clear_snapshot();
                    IF EXISTS (SELECT FROM pg_stat_activity
                        WHERE pid = \(backend) AND \(condition)) THEN
                        RETURN;
                    END IF;
                    PERFORM pg_sleep(0.005);
                END LOOP;
                RAISE 'backend \(backend) never had %', $c$\(condition)$c$;
            END $$
            """,
            deadline: .seconds(20)
        )
    }

    /// The error of a statement that must fail; nil when it did not.
    static func failure(
        _ body: () async throws(PostgresError) -> some Sendable
    ) async -> PostgresError? {
        do throws(PostgresError) {
            _ = try await body()
            return nil
        } catch {
            return error
        }
    }
}

/// Statements that several tests use.
extension Statement {
    static let echo = Statement("echo", "SELECT $1::text AS value")
    static let one = Statement("one", "SELECT 1 AS one")
    static let divide = Statement("divide", "SELECT 1 / $1::int AS quotient")
    static let lock = Statement("lock", "SELECT pg_advisory_lock($1::int)")
    static let unlock = Statement("unlock", "SELECT pg_advisory_unlock($1::int)")
    static let sleep = Statement("sleep", "SELECT pg_sleep($1::float8) AS slept")
    static let terminate = Statement("terminate", "SELECT pg_terminate_backend($1::int) AS done")
    static let nonsense = Statement("nonsense", "SELECT nothing FROM nowhere")
}

extension Trait where Self == ConditionTrait {
    /// Needs a server.
    static var database: Self {
        .enabled(
            if: Database.string != nil,
            "SANDBOXD_TEST_DATABASE is not set: run scripts/with-postgres"
        )
    }

    /// Needs a user whom PostgreSQL's server serves.
    static var unprivileged: Self {
        .enabled(if: geteuid() != 0, "PostgreSQL's server does not run as root")
    }
}
