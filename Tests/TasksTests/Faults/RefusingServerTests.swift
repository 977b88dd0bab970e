// SPDX-License-Identifier: Apache-2.0
import Kernel
import Postgres
import Tasks
import Testing

/// A server that is there and refuses: it has no connection left, or takes no writes.
@Suite("A database that refuses", .serialized, .timeLimit(.minutes(10)))
struct RefusingServerTests {
    /// Why an enqueue is refused; nil when it is not.
    private static func refusal(_ node: TestNode) async -> String? {
        do throws(TaskError) {
            _ = try await node.queue.enqueue(#"[{"profile":"code","spec":{"argv":["true"]}}]"#)
            return nil
        } catch {
            return "\(error)"
        }
    }

    private static func enqueue(_ database: TaskDatabase, _ count: Int) async throws {
        try await database.run(
            """
            SELECT sandboxd.enqueue('code', '{"argv":["true"]}') FROM generate_series(1, \(count))
            """
        )
    }

    /// Ends the node's sessions.
    private static func cut(_ control: Connection) async throws {
        _ = try await control.rows(
            """
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()
                AND application_name = 'sandboxd'
            """
        )
    }

    // MARK: Out of connections

    /// Connections that only take room: as many as there is room for.
    private static func hog(_ database: TaskDatabase) async throws -> [Connection] {
        var hogs: [Connection] = []
        let target = try ConnectionTarget(database.string)
        // Ends: the server has a limit.
        while true {
            let connection = Connection(on: try TaskDatabase.loop.get())
            var origin = Connection.Origin(target)
            origin.applicationName = "hog"
            do throws(PostgresError) {
                try await connection.connect(origin, deadline: .seconds(10))
                hogs.append(connection)
            } catch {
                #expect("\(error)".contains("too many clients already"))
                return hogs
            }
        }
    }

    @Test(
        "with every connection taken a node says so, and settles what it ran once there is one",
        .privateServer
    )
    func connections() async throws {
        var options = PrivateServer.Options()
        options.settings = ["max_connections=12"]
        try await PrivateServer.with(options) { server in
            let database = server.database
            try await database.migrate()
            try await database.withConnection { control in
                try await TestNode.with(server.string) { node in
                    try await Self.enqueue(database, 10)
                    let held = try await node.lease(5)
                    var hogs = try await Self.hog(database)
                    #expect(hogs.count == 12 - 4)
                    // Who has a connection goes on.
                    let first = await node.settle([held[0]])
                    #expect(first[held[0]] == .settled(.succeeded))
                    // The places that become free are taken by others, sooner or later.
                    while hogs.count < 12 - 1 {
                        try await Self.cut(control)
                        hogs += try await Self.hog(database)
                    }
                    _ = await node.wait { $0 != .connected }
                    let why = try #require(await Self.refusal(node))
                    #expect(why.contains("the database cannot be used now"))
                    #expect(why.contains("too many clients already"))

                    async let settled = node.settle(Array(held[1...]))
                    for hog in hogs { await hog.close() }
                    #expect(await settled.values.allSatisfy { $0 == .settled(.succeeded) })
                }
                try await Invariants.expectNone(control)
            }
        }
    }

    // MARK: Read-only

    /// As an administrator makes a database read-only, or a managed one makes itself when it is
    /// full.
    @Test(
        "a database that became read-only refuses what is new, and takes completions afterwards",
        .database,
        arguments: ["any", "read-write"]
    )
    func readOnly(sessions: String) async throws {
        try await TaskDatabase.with { database in
            try await database.withConnection { control in
                let name = try await control.value("SELECT current_database() AS value") ?? ""
                // Also for those who are connected already: the setting is for new sessions.
                let string = "\(database.string) target_session_attrs=\(sessions)"
                try await TestNode.with(string) { node in
                    try await Self.enqueue(database, 10)
                    let held = try await node.lease(5)
                    try await control.script(
                        "ALTER DATABASE \(name) SET default_transaction_read_only = on",
                        deadline: .seconds(10)
                    )
                    try await Self.cut(control)
                    _ = await node.wait { $0 != .connected }
                    let why = try #require(await Self.refusal(node))
                    #expect(why.contains("the database cannot be used now"))
                    #expect(why.contains("read-only"))
                    // It is a matter of writing only.
                    if sessions == "any" {
                        #expect(try await node.queue.state(of: held[0].task) != nil)
                    }

                    async let settled = node.settle(held)
                    try await control.script(
                        "ALTER DATABASE \(name) SET default_transaction_read_only = off",
                        deadline: .seconds(10)
                    )
                    #expect(await settled.values.allSatisfy { $0 == .settled(.succeeded) })
                }
                try await Invariants.expectNone(control)
            }
        }
    }
}
