// SPDX-License-Identifier: Apache-2.0
import Glibc
import JSON
import SystemPackage
import Testing

@testable import DockerAPI

@Suite("Agreeing with an engine", .timeLimit(.minutes(1))) struct NegotiationTests {
    @Test(
        "the newest version that both speak is taken",
        arguments: [
            ("1.41", "1.12", "1.41"), ("1.43", "1.12", "1.43"), ("1.47", "1.24", "1.47"),
            ("1.52", "1.44", "1.47"), ("2.0", "1.47", "1.47"),
        ]
    )
    func agreed(newest: String, oldest: String, expected: String) async throws {
        try await Clients.withFake(Self.speaking(newest, oldest)) { client, engine in
            _ = try await client.inspect("some")
            #expect(engine.requests.last?.path == "/v\(expected)/containers/some/json")
        }
    }

    @Test(
        "an engine that is too old or too new is refused with its version",
        arguments: [
            ("1.40", "1.12", DockerError.Reason.tooOld("1.40")), ("1.9", "1.0", .tooOld("1.9")),
            ("0.99", "0.1", .tooOld("0.99")), ("1.60", "1.48", .tooNew("1.48")),
            ("3.0", "2.0", .tooNew("2.0")),
        ]
    )
    func refused(newest: String, oldest: String, reason: DockerError.Reason) async throws {
        try await Clients.withFake(Self.speaking(newest, oldest)) { client, _ in
            let error = await Clients.failure { () async throws(DockerError) in
                try await client.agree()
            }
            #expect(error == DockerError(.version, reason))
            #expect(error?.description.contains("install a newer") == true)
        }
    }

    private static func speaking(_ newest: String, _ oldest: String) -> FakeEngine.Script {
        { request in
            switch request.path {
            case "/_ping": FakeAnswers.ping(newest)
            case "/version":
                FakeAnswers.json(FakeAnswers.version(newest: newest, oldest: oldest))
            default: FakeAnswers.json(FakeAnswers.container, version: newest)
            }
        }
    }

    @Test(
        "what is no engine is told why it is thought to be none",
        arguments: [
            ("GET", "/_ping", FakeAnswers.notFound, "without an API version"),
            ("GET", "/_ping", FakeAnswers.webPage, "without an API version"),
            ("GET", "/version", FakeAnswers.json("{}"), "'ApiVersion' is missing"),
            ("GET", "/version", FakeAnswers.json("[]"), "it is no object"),
            ("GET", "/version", FakeAnswers.webPage, "text/html"),
            (
                "GET", "/version", FakeAnswers.json(#"{"ApiVersion":1.41}"#),
                "'ApiVersion' is no text"
            ),
            (
                "GET", "/version", FakeAnswers.json(#"{"ApiVersion":"one"}"#),
                "'ApiVersion' is 'one', and no version"
            ),
            (
                "GET", "/version", FakeAnswers.json(#"{"ApiVersion":"1.41","MinAPIVersion":[]}"#),
                "'MinAPIVersion' is no text"
            ),
        ]
    )
    func noEngine(method: String, path: String, moves: [FakeEngine.Move], why: String) async throws
    {
        let script = FakeAnswers.working(but: method, path) { _ in moves }
        try await Clients.withFake(script) { client, _ in
            let error = await Clients.failure { () async throws(DockerError) in
                try await client.create(name: "some", body: .object([:]))
            }
            guard case .notAnEngine(let said) = error?.reason else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(said.contains(why))
            #expect(error?.call == .create)
            #expect(error?.blamesEngine == true)
        }
    }

    @Test("an engine that is in trouble at the first call is quoted")
    func trouble() async throws {
        let answer = FakeAnswers.json(#"{"message":"starting"}"#, status: "503 Later")
        let script = FakeAnswers.working(but: "GET", "/_ping") { _ in answer }
        try await Clients.withFake(script) { client, _ in
            let error = await Clients.failure { () async throws(DockerError) in
                try await client.agree()
            }
            #expect(error == DockerError(.ping, .answered(status: 503, "starting")))
        }
    }

    @Test("it is agreed once, and again when another engine answers")
    func again() async throws {
        try await Clients.withFake(Self.speaking("1.47", "1.24")) { client, engine in
            for _ in 0..<3 { _ = try await client.inspect("some") }
            #expect(engine.requests.count { $0.path == "/_ping" } == 1)
            // Replaced by an older one, which says so in its answers.
            engine.answer { request in
                request.path.hasPrefix("/v1.47")
                    ? FakeAnswers.json(#"{"message":"too new"}"#, status: "400 Bad")
                    : FakeAnswers.working(request)
            }
            let error = await Clients.failure { () async throws(DockerError) in
                try await client.inspect("some")
            }
            #expect(error?.status == 400)
            _ = try await client.inspect("some")
            #expect(engine.requests.last?.path.hasPrefix("/v1.41/") == true)
        }
    }

    @Test("it is agreed again after the engine was lost")
    func afterLoss() async throws {
        let lost = FakeAnswers.working(but: "GET", "/containers/lost") { _ in [.close] }
        try await Clients.withFake(lost) { client, engine in
            _ = await Clients.failure { () async throws(DockerError) in
                try await client.inspect("lost")
            }
            _ = try await client.inspect("some")
            #expect(engine.requests.count { $0.path == "/_ping" } == 2)
        }
    }

    @Test("who listens is the kernel's word")
    func listener() async throws {
        try await Clients.withFake { client, _ in
            #expect(await client.listener == nil)
            let info = try await client.info()
            #expect(info.listener == getuid())
        }
    }

    @Test("where nobody listens there is no user who does")
    func nobody() async throws {
        try await Clients.withFake { client, engine in
            unlink(engine.path)
            let error = await Clients.failure { () async throws(DockerError) in
                try await client.info()
            }
            #expect(error?.reason == .unreachable(path: engine.path, .noSuchFileOrDirectory))
            #expect(await client.listener == nil)
        }
    }
}
