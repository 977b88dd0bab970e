// SPDX-License-Identifier: Apache-2.0
import Glibc
import Kernel
import Testing

@testable import Postgres

@Suite(.timeLimit(.minutes(5))) struct ConnectingTests {
    private func failure(
        _ target: ConnectionTarget,
        firstHost: Int = 0,
        within deadline: Duration = .seconds(10)
    ) async throws
        -> PostgresError?
    {
        let connection = Connection(on: try Database.loop.get())
        var origin = Connection.Origin(target)
        origin.firstHost = firstHost
        do throws(PostgresError) {
            try await connection.connect(origin, deadline: deadline)
            await connection.close()
            return nil
        } catch {
            return error
        }
    }

    @Test("a host that is not there is said without the password")
    func wrongHost() async throws {
        let target = try ConnectionTarget("postgres://ann:hunter2@127.0.0.1:1/jobs")
        let error = try #require(try await failure(target))
        #expect("\(error)".hasPrefix("cannot connect to PostgreSQL: "))
        #expect("\(error)".contains("Connection refused"))
        #expect(!"\(error)".contains("hunter2"))
    }

    @Test("a host that says nothing is late, and named without the password")
    func silentHost() async throws {
        let silent = try SilentServer()
        defer { withExtendedLifetime(silent) {} }
        let target = try ConnectionTarget(
            "postgres://ann:hunter2@127.0.0.1:\(silent.port)/jobs?sslmode=disable"
        )
        let error = try #require(try await failure(target, within: .milliseconds(500)))
        #expect(
            error
                == .late(
                    doing: "connecting to host=127.0.0.1 port=\(silent.port) user=ann dbname=jobs",
                    after: .milliseconds(500)
                )
        )
        #expect(!"\(error)".contains("hunter2"))
    }

    @Test("a wrong password is said without it, and one from a file is used", .database)
    func password() async throws {
        try await Database.withConnection { connection in
            try await connection.script(
                "CREATE ROLE locked LOGIN PASSWORD 'correct horse'",
                deadline: .seconds(5)
            )
        }
        let wrong = try #require(
            try await failure(try Database.target("user=locked password=hunter2"))
        )
        #expect("\(wrong)".contains("password authentication failed for user \"locked\""))
        #expect(!"\(wrong)".contains("hunter2"))
        try await Embedded.withDirectory { directory in
            let file = try Descriptor.open(directory + "/password", O_WRONLY | O_CREAT)
            try file.writeAll(Array("correct horse\n".utf8))
            let right = try ConnectionTarget(
                "\(try #require(Database.string)) user=locked password=hunter2",
                passwordFile: directory + "/password"
            )
            #expect(try await failure(right) == nil)
        }
    }

    @Test("a database that is not there is the server's refusal", .database)
    func wrongDatabase() async throws {
        let error = try await failure(try Database.target("dbname=nowhere password=hunter2"))
        #expect("\(try #require(error))".contains("database \"nowhere\" does not exist"))
        #expect(!"\(try #require(error))".contains("hunter2"))
    }

    @Test("of several hosts, the first one dead, the next is taken", .database)
    func deadHost() async throws {
        let directory = try Database.directory()
        let target = try Database.target(
            "host=/no/such/directory,127.0.0.1,\(directory) port=5432,1,5432"
        )
        #expect(try await failure(target) == nil)
    }

    @Test("a client gets past a silent first host", .database)
    func silentFirstHost() async throws {
        let silent = try SilentServer()
        defer { withExtendedLifetime(silent) {} }
        let directory = try Database.directory()
        var session = Session()
        session.connectDeadline = .seconds(1)
        session.patience = .seconds(30)
        let target = try Database.target(
            "host=127.0.0.1,\(directory) port=\(silent.port),5432 sslmode=disable"
        )
        let client = Client(target, session: session, on: try Database.loop.get())
        try await Database.withClient(client) { client in
            let rows = try await client.query(.one, deadline: .seconds(30))
            #expect(try rows.only().int("one") == 1)
        }
    }
}

/// A TCP port that takes connections and never answers.
private final class SilentServer {
    let port: UInt16
    private let socket: Descriptor

    init() throws {
        socket = Descriptor(
            owning: try kernel { Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0) }
        )
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let number = socket.number
        port = try withUnsafeMutablePointer(to: &address) { pointer in
            try pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                _ = try kernel { bind(number, pointer, size) }
                _ = try kernel { listen(number, 8) }
                _ = try kernel { getsockname(number, pointer, &size) }
            }
            return UInt16(bigEndian: pointer.pointee.sin_port)
        }
    }
}
