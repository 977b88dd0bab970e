// SPDX-License-Identifier: Apache-2.0
import Glibc
import Kernel
import Postgres
import Tasks
import Testing

/// A database of one test's own, on the server that scripts/with-postgres started.
struct TaskDatabase: Sendable {
    /// The server's connection string; nil without one.
    static let server = getenv("SANDBOXD_TEST_DATABASE").map { String(cString: $0) }

    /// The one loop of all these tests: its thread never ends.
    static let loop = Result { try EventLoop() }
    private static let deadline = Duration.seconds(50)

    /// What libpq takes.
    let string: String

    /// Runs `body` with a new database, which is empty or has the queue, and drops it.
    static func with<Value>(
        isMigrated: Bool = true,
        _ name: String = #function,
        _ body: (TaskDatabase) async throws -> Value
    ) async throws -> Value {
        try await Turns.shared.one { try await withNew(isMigrated: isMigrated, name, body) }
    }

    private static func withNew<Value>(
        isMigrated: Bool,
        _ name: String,
        _ body: (TaskDatabase) async throws -> Value
    ) async throws -> Value {
        let server = try #require(server)
        let word = name.prefix { $0.isLetter || $0.isNumber }.lowercased()
        let database = "t_\(word)_\(getpid())_\(UInt32.random(in: 0...UInt32.max))"
        // Without a search path, so that every name in the schema must say where it is.
        let own = TaskDatabase(string: "\(server) dbname=\(database) options='-c search_path='")
        let root = TaskDatabase(string: server)
        try await root.run("CREATE DATABASE \(database)")
        do {
            if isMigrated { try await own.migrate() }
            let value = try await body(own)
            try await root.run("DROP DATABASE \(database) WITH (FORCE)")
            return value
        } catch {
            // The first error is the one to know; the server goes with all its databases anyway.
            try? await root.run("DROP DATABASE \(database) WITH (FORCE)")
            throw error
        }
    }

    /// Puts the queue and two profiles into it.
    func migrate() async throws {
        _ = try await withClient { try await Migrations.migrate($0) }
        try await run(
            """
            INSERT INTO sandboxd.profiles VALUES ('code', 1000, 2000, 256, 0),
                ('big', 10000, 20000, 2048, 1048576)
            """
        )
    }

    /// Runs `body` with a connection and closes it.
    func withConnection<Value>(_ body: (Connection) async throws -> Value) async throws -> Value {
        let connection = Connection(on: try Self.loop.get())
        let origin = Connection.Origin(try ConnectionTarget(string))
        try await connection.connect(origin, deadline: .seconds(20))
        do {
            let value = try await body(connection)
            await connection.close()
            return value
        } catch {
            await connection.close()
            throw error
        }
    }

    /// Runs `body` beside a client and closes it.
    func withClient<Value: Sendable>(
        statementTimeout: Duration = .seconds(45),
        _ body: (Client) async throws -> Value
    ) async throws -> Value {
        var session = Session()
        session.patience = .seconds(20)
        session.connectDeadline = .seconds(20)
        session.statementTimeout = statementTimeout
        let client = Client(try ConnectionTarget(string), session: session, on: try Self.loop.get())
        return try await withThrowingTaskGroup(of: Void.self) { group in
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

    /// Runs `body` with the queue as nodes use it.
    func withQueue<Value: Sendable>(
        statementTimeout: Duration = .seconds(45),
        _ body: (TaskQueue) async throws -> Value
    ) async throws -> Value {
        try await withClient { work in
            try await withClient { beats in
                try await withClient(statementTimeout: statementTimeout) { watch in
                    try await body(TaskQueue(work: work, beats: beats, watch: watch))
                }
            }
        }
    }

    /// Runs a script on a connection of its own.
    func run(_ sql: String) async throws {
        try await withConnection { try await $0.script(sql, deadline: Self.deadline) }
    }
}

extension Connection {
    /// Rows of a statement that is prepared under its own text.
    func rows(_ sql: String, _ parameters: String?...) async throws(PostgresError) -> Rows {
        try await query(Statement(Self.name(sql), sql), parameters, deadline: .seconds(50))
    }

    /// The one value that a statement answers, in its column `value`; nil is NULL.
    func value(_ sql: String, _ parameters: String?...) async throws(PostgresError) -> String? {
        try await query(Statement(Self.name(sql), sql), parameters, deadline: .seconds(50))
            .only().optionalText("value")
    }

    /// PostgreSQL cuts names after 63 bytes, and two statements must not be one.
    private static func name(_ sql: String) -> String {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in sql.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        return "test_" + String(hash, radix: 16)
    }
}

/// The error of a statement that must fail; nil when it did not.
func failure(_ body: () async throws(PostgresError) -> some Sendable) async -> PostgresError? {
    do throws(PostgresError) {
        _ = try await body()
        return nil
    } catch {
        return error
    }
}

extension Trait where Self == ConditionTrait {
    /// Needs a server.
    static var database: Self {
        .enabled(
            if: TaskDatabase.server != nil,
            "SANDBOXD_TEST_DATABASE is not set: run scripts/with-postgres"
        )
    }
}
