// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import Kernel
internal import Postgres
internal import SystemPackage
internal import Tasks

/// `sandboxd db`: the schema of a database that is not the daemon's own.
struct DatabaseCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sandboxd db",
        abstract: "Looks after the schema of a database of yours.",
        discussion: """
            The database that a daemon keeps for itself needs none of this: the daemon does it.
            """,
        subcommands: [Migrate.self, Status.self]
    )

    /// `sandboxd db migrate`.
    struct Migrate: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Brings the schema up to date; safe while nodes run, and when it is."
        )

        @OptionGroup var database: DatabaseOptions

        @Flag(help: "Print a JSON object to standard output.")
        var json = false

        func run() async throws {
            try await database.run { [json] client throws(TaskError) in
                let applied = try await Migrations.migrate(client)
                if json {
                    let object: JSONObject = [
                        "applied": applied, "version": Migrations.all.count,
                    ]
                    return print(JSONAnswer.text(object))
                }
                for name in applied { print("applied \(name)") }
                if applied.isEmpty { print("the schema is up to date") }
            }
        }
    }

    /// `sandboxd db status`.
    struct Status: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Says how the schema stands; status 1 when it is not up to date."
        )

        @OptionGroup var database: DatabaseOptions

        @Flag(help: "Print a JSON object to standard output.")
        var json = false

        func run() async throws {
            var isCurrent = false
            try await database.run { [json] client throws(TaskError) in
                let state = try await Migrations.state(of: client)
                isCurrent = state == .current
                let latest = Migrations.all.count
                let (word, version): (String, Int) =
                    switch state {
                    case .absent: ("absent", 0)
                    case .older(let version): ("older", version)
                    case .current: ("current", latest)
                    case .newer(let version): ("newer", version)
                    case .different(let version, _): ("different", version)
                    }
                if json {
                    let object: JSONObject = [
                        "schema": word, "version": version, "latest": latest,
                    ]
                    print(JSONAnswer.text(object))
                } else {
                    print("the schema is \(word): version \(version), and this program's \(latest)")
                    if case .different(_, let name) = state {
                        print("another build made it: its '\(name)' is not this program's")
                    }
                }
            }
            if !isCurrent { throw ExitCode(1) }
        }
    }
}

/// Which database is meant.
struct DatabaseOptions: ParsableArguments {
    private static let patience = Duration.seconds(10)

    @Option(help: "A PostgreSQL connection string. Default: $SANDBOXD_DATABASE.")
    var database: String?

    /// Connects and does `body`; an error is said, and ends the program with 125.
    func run(_ body: (Client) async throws(TaskError) -> Void) async throws {
        do {
            let choice = try DatabaseChoice(
                option: database,
                variable: Place.environment("SANDBOXD_DATABASE")
            )
            guard case .external(let target) = choice else {
                throw DaemonError.database(
                    "name one: --database CONNECTION-STRING, or SANDBOXD_DATABASE"
                )
            }
            var session = Session()
            session.patience = Self.patience
            let client = Client(target, session: session, on: try EventLoop())
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await client.run() }
                defer { group.cancelAll() }
                try await body(client)
            }
        } catch {
            FileHandles.say("sandboxd: \(error)")
            throw ExitCode(125)
        }
    }
}
