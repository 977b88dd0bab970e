// SPDX-License-Identifier: Apache-2.0
import Glibc
import Postgres
import Tasks
import Testing

@Suite("The schema", .database, .timeLimit(.minutes(10))) struct MigrationTests {
    /// The folder of the files that are embedded.
    private static let folder =
        #filePath.split(separator: "/").dropLast(3)
        .reduce(into: "") { $0 += "/" + $1 } + "/Sources/Tasks/Schema"

    private static func files() -> [String] {
        guard let directory = opendir(folder) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name.hasSuffix(".sql") { names.append(String(name.dropLast(4))) }
        }
        return names.sorted()
    }

    @Test("the list of migrations is the folder, numbered from 1")
    func list() {
        #expect(Migrations.all.map(\.name) == Self.files())
        #expect(Migrations.all.map(\.version) == Array(1...Migrations.all.count))
        for migration in Migrations.all {
            // The tags that quote it.
            #expect(!migration.sql.contains("$migrat"))
        }
    }

    @Test("who migrates twice changes nothing the second time")
    func twice() async throws {
        try await TaskDatabase.with(isMigrated: false) { database in
            try await database.withClient { client in
                let before = try await Migrations.state(of: client)
                #expect(before == .absent)
                let names = try await Migrations.migrate(client)
                #expect(names == Migrations.all.map(\.name))
                let after = try await Migrations.state(of: client)
                #expect(after == .current)
                let again = try await Migrations.migrate(client)
                #expect(again == [])
            }
            try await database.withConnection { connection in
                let count = try await connection.value(
                    "SELECT count(*) AS value FROM sandboxd.schema_migrations"
                )
                #expect(count == "\(Migrations.all.count)")
            }
        }
    }

    @Test("a newer schema is refused and left alone")
    func newer() async throws {
        try await TaskDatabase.with { database in
            let next = Migrations.all.count + 1
            try await database.run(
                "INSERT INTO sandboxd.schema_migrations VALUES (\(next), 'from the future', '')"
            )
            try await database.withClient { client in
                let state = try await Migrations.state(of: client)
                #expect(state == .newer(version: next))
                await #expect(throws: TaskError.self) { try await Migrations.migrate(client) }
            }
        }
    }

    @Test(
        "a schema that another build made is refused by the file's name, and left alone",
        arguments: [
            ("UPDATE sandboxd.schema_migrations SET sha256 = 'x' WHERE version = 3", 2),
            // As it was before files had a digest.
            ("ALTER TABLE sandboxd.schema_migrations DROP COLUMN sha256", 0),
        ]
    )
    func different(_ change: String, _ index: Int) async throws {
        try await TaskDatabase.with { database in
            try await database.run(change)
            try await database.withClient { client in
                let name = Migrations.all[index].name
                let state = try await Migrations.state(of: client)
                #expect(state == .different(version: Migrations.all.count, name: name))
                let error = await #expect(throws: TaskError.self) {
                    try await Migrations.migrate(client)
                }
                #expect("\(try #require(error))".contains("'\(name)'"))
            }
        }
    }

    @Test("another build that migrates first, while this one waits for it, is found out")
    func overtaken() async throws {
        try await TaskDatabase.with(isMigrated: false) { database in
            try await database.withConnection { other in
                let key = "(hashtextextended('sandboxd.migrate', 0))"
                _ = try await other.rows("SELECT pg_advisory_lock\(key)")
                async let refusal = #expect(throws: TaskError.self) {
                    try await database.withClient { try await Migrations.migrate($0) }
                }
                try await database.run(HeldRows.somebodyWaits)
                for migration in Migrations.all {
                    try await other.script(
                        """
                        \(migration.sql);
                        INSERT INTO sandboxd.schema_migrations (version, name, sha256)
                        VALUES (\(migration.version), '\(migration.name)', 'x')
                        """,
                        deadline: .seconds(20)
                    )
                }
                _ = try await other.rows("SELECT pg_advisory_unlock\(key)")
                #expect("\(try #require(await refusal))".contains("'\(Migrations.all[0].name)'"))
            }
        }
    }

    @Test("what is put aside, as the refusal says, makes room for a new schema")
    func aside() async throws {
        try await TaskDatabase.with { database in
            try await database.run("UPDATE sandboxd.schema_migrations SET sha256 = 'x'")
            try await database.run("ALTER SCHEMA sandboxd RENAME TO sandboxd_before")
            try await database.withClient { client in
                let applied = try await Migrations.migrate(client)
                #expect(applied == Migrations.all.map(\.name))
            }
        }
    }

    /// A database as an older program left it: without the last file.
    private static func withOlder(
        _ body: (TaskDatabase, Migrations.Migration) async throws -> Void
    ) async throws {
        let last = try #require(Migrations.all.last)
        try await TaskDatabase.with(isMigrated: false) { database in
            for migration in Migrations.all.dropLast() {
                try await database.run(migration.sql)
                try await database.run(
                    """
                    INSERT INTO sandboxd.schema_migrations (version, name, sha256)
                    VALUES (\(migration.version), '\(migration.name)', '\(migration.sha256)')
                    """
                )
            }
            try await body(database, last)
        }
    }

    @Test("an older schema is told as such, and only what it lacks is applied")
    func older() async throws {
        try await Self.withOlder { database, last in
            try await database.withQueue { queue in
                let before = try await Migrations.state(of: queue.watch)
                #expect(before == .older(version: last.version - 1))
                // Who uses it all the same hears what to do.
                let error = await #expect(throws: TaskError.self) {
                    _ = try await queue.approvals()
                }
                #expect("\(try #require(error))".contains("run 'sandboxd db migrate'"))
                let applied = try await Migrations.migrate(queue.watch)
                #expect(applied == [last.name])
                let after = try await Migrations.state(of: queue.watch)
                #expect(after == .current)
                _ = try await queue.approvals()
            }
        }
    }

    @Test("of several who migrate at once, one names what was applied and the others nothing")
    func race() async throws {
        try await TaskDatabase.with(isMigrated: false) { database in
            let applied = try await withThrowingTaskGroup(of: [String].self) { group in
                for _ in 0..<4 {
                    group.addTask {
                        try await database.withClient { try await Migrations.migrate($0) }
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(applied.filter { !$0.isEmpty } == [Migrations.all.map(\.name)])
            try await database.withClient { client in
                let state = try await Migrations.state(of: client)
                #expect(state == .current)
            }
        }
    }
}
