// SPDX-License-Identifier: Apache-2.0
import Glibc
import Kernel
import SystemPackage
import Testing

@testable import DockerAPI

@Suite("Connections to an engine", .timeLimit(.minutes(1))) struct ConnectionTests {
    @Test("questions share one connection, and a change has its own")
    func reuse() async throws {
        try await Clients.withFake { client, engine in
            for _ in 0..<5 { _ = try await client.inspect("some") }
            #expect(engine.connections == 1)
            // libcurl would repeat a change on its own if a kept connection turned out dead.
            try await client.start("some")
            #expect(engine.connections == 2)
            // And what was kept is bounded.
            for _ in 0..<20 { try await client.start("some") }
            #expect(Clients.descriptors(connectedTo: engine) <= 4)
        }
    }

    @Test("a connection on which the engine failed is not used again")
    func notAcrossFailure() async throws {
        let script = FakeAnswers.working(but: "GET", "/containers/bad") { _ in
            FakeAnswers.json(#"{"message":"no"}"#, status: "500 No")
        }
        try await Clients.withFake(script) { client, engine in
            try await client.agree()
            _ = await Clients.failure { () async throws(DockerError) in
                try await client.inspect("bad")
            }
            #expect(Clients.descriptors(connectedTo: engine) == 0)
            _ = try await client.inspect("good")
            #expect(engine.connections == 2)
        }
    }

    @Test("an engine that closed a kept connection is connected to again")
    func keptButDead() async throws {
        let script = FakeAnswers.working(but: "GET", "/containers/last") { _ in
            FakeAnswers.json(FakeAnswers.container) + [.close]
        }
        try await Clients.withFake(script) { client, engine in
            _ = try await client.inspect("last")
            _ = try await client.inspect("next")
            #expect(engine.connections == 2)
        }
    }

    @Test("fifty calls at once each get their own answer")
    func concurrency() async throws {
        let script = FakeAnswers.working(but: "GET", "/containers/") { request in
            let name = request.path.split(separator: "/")[2]
            return FakeAnswers.json(FakeAnswers.container.replacing("/some", with: "/\(name)"))
        }
        try await Clients.withFake(script) { client, engine in
            let names = try await withThrowingTaskGroup(of: (String, String?).self) { group in
                for number in 0..<50 {
                    group.addTask {
                        ("c\(number)", try await client.inspect("c\(number)")?.name)
                    }
                }
                return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
            }
            #expect(names.count == 50)
            #expect(names.allSatisfy { $0.key == $0.value })
            #expect(Clients.descriptors(connectedTo: engine) <= 4)
        }
    }

    // MARK: Nobody there

    @Test("what is not there, or does not listen, is told apart by name")
    func nobody() async throws {
        let engine = try FakeEngine()
        defer { engine.stop() }
        let absent = engine.path + ".absent"
        let stale = engine.path + ".stale"
        try Self.bindAndLeave(stale)
        defer { unlink(stale) }
        #expect(
            await Self.refusal(absent)
                == .unreachable(path: absent, .noSuchFileOrDirectory)
        )
        #expect(
            await Self.refusal("/dev/null/x") == .unreachable(path: "/dev/null/x", .notDirectory)
        )
        #expect(
            await Self.refusal("/dev/null") == .unreachable(path: "/dev/null", .connectionRefused)
        )
        let error = await Self.refusal(stale)
        #expect(error == .unreachable(path: stale, .connectionRefused))
        #expect(
            error?.description == "nobody listens at \(stale): start the engine, or name its socket"
        )
    }

    @Test(
        "a socket of another user is refused with what to do",
        .enabled(if: geteuid() != 0, "root is refused nothing")
    )
    func forbidden() async throws {
        let engine = try FakeEngine()
        defer { engine.stop() }
        chmod(engine.path, 0)
        let error = await Self.refusal(engine.path)
        #expect(error == .unreachable(path: engine.path, .permissionDenied))
        #expect(error?.description.contains("run the engine as the user") == true)
    }

    @Test("an engine that takes no connections is an error at once, and no wait")
    func fullQueue() async throws {
        let engine = try FakeEngine()
        let path = engine.path + ".full"
        defer {
            unlink(path)
            engine.stop()
        }
        let listener = try Self.listen(path, queue: 0)
        let waiting = try Self.fill(path)
        let error = await Self.refusal(path, limits: CallLimits(deadline: .seconds(50)))
        #expect(error == .unreachable(path: path, .resourceTemporarilyUnavailable))
        withExtendedLifetime((listener, waiting)) {}
    }

    private static func refusal(
        _ path: String,
        limits: CallLimits = .question
    ) async -> DockerError.Reason? {
        await Clients.failure { () async throws(DockerError) in
            let address = try EngineAddress("unix://" + path)
            guard case .success(let loop) = Clients.loop else { return }
            let client = DockerClient(address, on: loop)
            _ = try await client.info(limits: limits)
        }?.reason
    }

    private static func bindAndLeave(_ path: String) throws {
        _ = try listen(path, queue: nil)
    }

    private static func listen(_ path: String, queue: Int32?) throws -> Descriptor {
        let socket = try Self.socket()
        _ = try withAddress(path) { address, size in
            try kernel { bind(socket.number, address, size) }
        }
        if let queue { _ = try kernel { Glibc.listen(socket.number, queue) } }
        return socket
    }

    /// Connects until no more fit into the queue.
    private static func fill(_ path: String) throws -> [Descriptor] {
        var sockets: [Descriptor] = []
        while sockets.count < 100 {
            let socket = try Self.socket()
            do {
                _ = try withAddress(path) { address, size in
                    try kernel { connect(socket.number, address, size) }
                }
            } catch Errno.resourceTemporarilyUnavailable {
                return sockets
            }
            sockets.append(socket)
        }
        return sockets
    }

    private static func socket() throws -> Descriptor {
        let type = SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue
        return Descriptor(owning: try kernel { Glibc.socket(AF_UNIX, Int32(type), 0) })
    }

    private static func withAddress<Value>(
        _ path: String,
        _ body: (UnsafePointer<sockaddr>, socklen_t) throws -> Value
    ) rethrows -> Value {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        return try withUnsafePointer(to: &address) {
            try $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                try body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }
}
