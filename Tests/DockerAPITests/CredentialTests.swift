// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import DockerAPI

@Suite("Credentials of a registry", .timeLimit(.minutes(1))) struct CredentialTests {
    private static let secret = "eyJ1c2VybmFtZSI6Im1lIiwicGFzc3dvcmQiOiJodW50ZXIyIn0="

    @Test("they go into the header of a pull, and into no other request")
    func header() async throws {
        try await Clients.withFake { client, engine in
            let auth = try RegistryAuth(base64: Self.secret)
            _ = try await client.pull(try ImageReference("host.example/a:b"), auth: auth)
            let sent = engine.requests.filter { $0.headers["x-registry-auth"] != nil }
            #expect(sent.map(\.method) == ["POST"])
            #expect(sent.first?.headers["x-registry-auth"] == Self.secret)
            #expect(engine.requests.allSatisfy { !$0.path.contains(Self.secret) })
        }
    }

    /// An engine, or whoever sits between, may quote what it was sent.
    @Test(
        "an error never has them, whoever quotes them",
        arguments: [
            FakeAnswers.json(#"{"message":"bad \#(secret)"}"#, status: "401 No"),
            FakeAnswers.json("bad \(secret) \(secret)", status: "500 No", type: "text/plain"),
            FakeAnswers.json(#"{"error":"bad \#(secret)"}"#),
            FakeAnswers.json("bad \(secret)"),
            // Cut in the middle, by the limit of a quotation.
            FakeAnswers.json(
                String(repeating: "x", count: 470) + secret,
                status: "500 No",
                type: "text/plain"
            ),
        ]
    )
    func quoted(answer: [FakeEngine.Move]) async throws {
        let script = FakeAnswers.working(but: "POST", "/images/create") { _ in answer }
        try await Clients.withFake(script) { client, _ in
            let auth = try RegistryAuth(base64: Self.secret)
            let error = await Clients.failure { () async throws(DockerError) in
                try await client.pull(try ImageReference("host.example/a:b"), auth: auth)
            }
            var dumped = ""
            dump(try #require(error), to: &dumped)
            let said = "\(String(describing: error)) \(String(reflecting: error)) \(dumped)"
            #expect(said.contains("hidden"))
            #expect(!said.contains(Self.secret.prefix(12)))
        }
    }

    @Test("printing or inspecting them shows nothing")
    func printing() throws {
        let auth = try RegistryAuth(base64: Self.secret)
        var dumped = ""
        dump(auth, to: &dumped)
        #expect(!"\(auth) \(String(reflecting: auth)) \(dumped)".contains("eyJ1"))
    }

    @Test(
        "what is no header is refused without being quoted",
        arguments: ["", "a\r\nX: y", "ä", "a b"]
    )
    func refused(text: String) async throws {
        let error = await Clients.failure { () async throws(DockerError) in
            try RegistryAuth(base64: text)
        }
        #expect(error?.description.contains("not base64") == true)
        #expect(text.isEmpty || error?.description.contains(text) == false)
    }
}
