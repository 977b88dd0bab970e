// SPDX-License-Identifier: Apache-2.0
import Glibc
import Kernel
import SystemPackage
import Testing

@testable import Postgres

@Suite(.unprivileged, .embedded, .serialized, .timeLimit(.minutes(2)))
struct EmbeddedClusterTests {
    private func withConnection<Value>(
        _ target: ConnectionTarget,
        _ body: (Connection) async throws -> Value
    ) async throws -> Value {
        let connection = Connection(on: try Database.loop.get())
        try await connection.connect(Connection.Origin(target), deadline: .seconds(5))
        do {
            let value = try await body(connection)
            await connection.close()
            return value
        } catch {
            await connection.close()
            throw error
        }
    }

    private func expectAnswer(_ target: ConnectionTarget) async throws {
        try await withConnection(target) {
            let rows = try await $0.query(.one, deadline: .seconds(5))
            #expect(rows.count == 1)
        }
    }

    private func write(_ target: ConnectionTarget) async throws {
        try await withConnection(target) {
            try await $0.script(
                "CREATE TABLE kept (a int); INSERT INTO kept VALUES (42)",
                deadline: .seconds(5)
            )
        }
    }

    private func expectKept(_ target: ConnectionTarget) async throws {
        try await withConnection(target) {
            let kept = Statement("kept", "SELECT a FROM kept")
            let rows = try await $0.query(kept, deadline: .seconds(5))
            #expect(try rows.only().int("a") == 42)
        }
    }

    @Test("it starts, is reachable by its user only, and leaves no process when it stops")
    func startsAndStops() async throws {
        try await Embedded.withDirectory { directory in
            try await Embedded.withCluster(in: directory) { cluster, target in
                try await write(target)
                try await expectKept(target)
                let sockets = try #require(await cluster.socketDirectory)
                for path in [directory, directory + "/data", sockets] {
                    var status = stat()
                    #expect(stat(path, &status) == 0)
                    #expect(status.st_mode & 0o777 == 0o700)
                }
                #expect(!Embedded.processes(in: directory).isEmpty)
            }
            #expect(Embedded.processes(in: directory).isEmpty)
            #expect(access(directory + "/data/postmaster.pid", F_OK) != 0)
            try await Embedded.withCluster(in: directory) { _, target in
                try await expectKept(target)
            }
        }
    }

    @Test("a killed postmaster is started again, with its data, and a client finds it")
    func killedPostmaster() async throws {
        try await Embedded.withDirectory { directory in
            let (events, observer) = AsyncStream.makeStream(of: EmbeddedCluster.Event.self)
            try await Embedded.withCluster(
                in: directory,
                observed: { observer.yield($0) }
            ) { cluster, target in
                try await write(target)
                let first = try #require(await cluster.pid)
                // A backend that is busy does not notice by itself.
                let busy = Connection(on: try Database.loop.get())
                try await busy.connect(Connection.Origin(target), deadline: .seconds(5))
                async let spin = Database.failure { () async throws(PostgresError) in
                    try await busy.query(
                        Statement("spin", "DO $$ BEGIN LOOP END LOOP; END $$"),
                        deadline: .seconds(60)
                    )
                }
                let backend = try #require(await busy.backend)
                try await withConnection(target) { try await Database.wait($0, untilBusy: backend) }
                kill(first, SIGKILL)
                var iterator = events.makeAsyncIterator()
                #expect(await iterator.next() == .ready(pid: first))
                #expect(
                    await iterator.next()
                        == .down("the private PostgreSQL server ended with signal 9")
                )
                guard case .ready(let second) = await iterator.next() else {
                    Issue.record("it was not started again")
                    return
                }
                #expect(first != second)
                try await expectKept(target)
                _ = await spin
                await busy.close()
            }
            #expect(Embedded.processes(in: directory).isEmpty)
        }
    }

    @Test("when its owner is killed it is gone within a second, and starts again with its data")
    func killedOwner() async throws {
        try await Embedded.withDirectory { directory in
            let owner = try Owner(directory)
            #expect(try owner.line().hasPrefix("ready "))
            let target = ConnectionTarget(
                socketDirectory: directory + "/run",
                user: String(cString: try #require(getpwuid(geteuid())).pointee.pw_name),
                database: "postgres"
            )
            try await write(target)
            #expect(!Embedded.processes(in: directory).isEmpty)
            owner.killNow()
            #expect(Embedded.waits(upTo: 1) { Embedded.processes(in: directory).isEmpty })
            try await Embedded.withCluster(in: directory) { _, target in
                try await expectKept(target)
            }
        }
    }

    @Test("an owner that starts at once takes over from one that was killed")
    func takeover() async throws {
        try await Embedded.withDirectory { directory in
            for _ in 1...3 {
                let owner = try Owner(directory)
                #expect(try owner.line().hasPrefix("ready "))
                owner.killNow()
            }
            try await Embedded.withCluster(in: directory) { _, target in
                try await expectAnswer(target)
            }
        }
    }

    @Test("the process id of a killed server may be anybody's by now")
    func reusedProcessID() async throws {
        try await Embedded.withDirectory { directory in
            try await Embedded.withCluster(in: directory) { cluster, target in
                try await write(target)
                // Kept as the server wrote it, but for a number that lives: this process' parent.
                let file = try KernelFile.read(directory + "/data/postmaster.pid")
                let rest = file.drop { $0 != "\n" }
                let copy = try Descriptor.open(directory + "/copy", O_WRONLY | O_CREAT)
                try copy.writeAll(Array("\(getpid())\(rest)".utf8))
            }
            let sleeper = try Sleeper()
            defer { sleeper.end() }
            let copy = try KernelFile.read(directory + "/copy")
            let stale = "\(sleeper.pid)\(copy.drop { $0 != "\n" })"
            for path in ["/data/postmaster.pid", "/run/.s.PGSQL.5432.lock"] {
                let file = try Descriptor.open(directory + path, O_WRONLY | O_CREAT | O_TRUNC)
                try file.writeAll(Array(stale.utf8))
            }
            try await Embedded.withCluster(in: directory) { _, target in
                try await expectKept(target)
            }
        }
    }

    @Test(
        "an initdb that was killed halfway is begun anew",
        arguments: ["PG_VERSION", "global", "base/1", "postgresql.conf", "global/pg_filenode.map"]
    )
    func killedInitdb(at file: String) async throws {
        try await Embedded.withDirectory { directory in
            let owner = try Owner(directory)
            #expect(
                Embedded.waits(upTo: 20) { access(directory + "/data.new/" + file, F_OK) == 0 }
            )
            owner.killNow()
            #expect(access(directory + "/data", F_OK) != 0)
            try await Embedded.withCluster(in: directory) { _, target in
                try await expectAnswer(target)
            }
            #expect(access(directory + "/data.new", F_OK) != 0)
        }
    }

    /// `initdb` starts its servers by a shell, which is not yet in the directory that it writes to.
    @Test("what a killed initdb had just started writes nothing into the next one's directory")
    func strayOfInitdb() async throws {
        try await Embedded.withDirectory { directory in
            let unfinished = directory + "/data.new"
            let script = #"while mkdir -p "$PGDATA/base"; do : >"$PGDATA/base/$((n += 1))"; done"#
            var stray: pid_t = 0
            let error = ArgumentVector.with(["sh", "-c", script]) { arguments in
                ArgumentVector.with(["PGDATA=" + unfinished]) {
                    posix_spawn(&stray, "/bin/sh", nil, nil, arguments, $0)
                }
            }
            try #require(error == 0)
            var isGone = false
            defer {
                if !isGone {
                    kill(stray, SIGKILL)
                    waitpid(stray, nil, 0)
                }
            }
            #expect(Embedded.waits(upTo: 5) { access(unfinished + "/base/100", F_OK) == 0 })
            try await Embedded.withCluster(in: directory) { _, target in
                try await expectAnswer(target)
            }
            isGone = waitpid(stray, nil, WNOHANG) == stray
            #expect(isGone)
        }
    }

    @Test("two cannot have one directory")
    func inUse() async throws {
        try await Embedded.withDirectory { directory in
            try await Embedded.withCluster(in: directory) { _, _ in
                let second = EmbeddedCluster(
                    .init(directory: directory, initProgram: Embedded.initProgram),
                    on: try Database.loop.get()
                )
                await #expect(throws: ClusterError.inUse(directory)) {
                    _ = try await second.start()
                }
            }
        }
    }

    @Test("in a directory with a long name, the socket is in a private one with a short name")
    func longPath() async throws {
        try await Embedded.withDirectory { directory in
            let long = directory + "/" + String(repeating: "x", count: 100)
            #expect(mkdir(long, 0o700) == 0)
            let sockets = try await Embedded.withCluster(in: long) { cluster, target in
                try await expectAnswer(target)
                return try #require(await cluster.socketDirectory)
            }
            #expect(!sockets.hasPrefix(directory))
            #expect(access(sockets, F_OK) != 0)
        }
    }

    @Test("a cluster of a version that is not installed is left alone")
    func wrongVersion() async throws {
        try await Embedded.withDirectory { directory in
            #expect(mkdir(directory + "/data", 0o700) == 0)
            let version = try Descriptor.open(directory + "/data/PG_VERSION", O_WRONLY | O_CREAT)
            try version.writeAll(Array("9\n".utf8))
            let cluster = EmbeddedCluster(
                .init(directory: directory, initProgram: Embedded.initProgram),
                on: try Database.loop.get()
            )
            let error = await #expect(throws: ClusterError.self) { _ = try await cluster.start() }
            #expect("\(try #require(error))".hasSuffix("install Debian's 'postgresql-9'"))
        }
    }

    @Test("a server that cannot start says why, from its log")
    func cannotStart() async throws {
        try await Embedded.withDirectory { directory in
            try await Embedded.withCluster(in: directory) { _, _ in }
            unlink(directory + "/data/global/pg_control")
            let cluster = EmbeddedCluster(
                .init(directory: directory, initProgram: Embedded.initProgram),
                on: try Database.loop.get()
            )
            let error = await #expect(throws: ClusterError.self) { _ = try await cluster.start() }
            #expect("\(try #require(error))".contains("global/pg_control"))
            #expect(Embedded.processes(in: directory).isEmpty)
        }
    }
}

/// A process of the same user that is not PostgreSQL.
private struct Sleeper {
    let pid: pid_t

    init() throws {
        var pid: pid_t = 0
        let error = ArgumentVector.with(["/bin/sleep", "600"]) {
            posix_spawn(&pid, "/bin/sleep", nil, nil, $0, environ)
        }
        guard error == 0 else { throw Errno(rawValue: error) }
        self.pid = pid
    }

    func end() {
        kill(pid, SIGKILL)
        waitpid(pid, nil, 0)
    }
}
