// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import DockerAPI

/// How calls end other than by an answer, and what ends containers.
@Suite("Ends of calls and containers", .timeLimit(.minutes(1))) struct EndingTests {
    private static let hanging = FakeAnswers.working(but: "GET", "/containers/hang") { _ in [.hang]
    }

    // MARK: Calls

    @Test("cancelling the task ends its call, closes its connection, and disturbs no other")
    func cancelling() async throws {
        try await Clients.withFake(Self.hanging) { client, engine in
            try await client.agree()
            var arrivals = engine.arrivals.makeAsyncIterator()
            let call = Task {
                await Clients.failure { () async throws(DockerError) in
                    try await client.inspect("hang")
                }
            }
            while let request = await arrivals.next(), !request.path.contains("hang") {}
            let before = Clients.descriptors(connectedTo: engine)
            call.cancel()
            #expect(await call.value == DockerError(.inspect, .cancelled))
            #expect(Clients.descriptors(connectedTo: engine) == before - 1)
            let good = try await client.inspect("good")
            #expect(good != nil)
        }
    }

    @Test("a call of a task that was cancelled before ends without an answer")
    func cancelledBefore() async throws {
        try await Clients.withFake { client, _ in
            let call = Task {
                withUnsafeCurrentTask { $0?.cancel() }
                return await Clients.failure { () async throws(DockerError) in
                    try await client.inspect("some")
                }
            }
            #expect(await call.value?.reason == .cancelled)
            let good = try await client.inspect("some")
            #expect(good != nil)
        }
    }

    @Test("closing the client ends what is under way, and takes nothing more")
    func closing() async throws {
        try await Clients.withFake(Self.hanging) { client, engine in
            try await client.agree()
            var arrivals = engine.arrivals.makeAsyncIterator()
            let call = Task {
                await Clients.failure { () async throws(DockerError) in
                    try await client.inspect("hang")
                }
            }
            while let request = await arrivals.next(), !request.path.contains("hang") {}
            await client.close()
            #expect(await call.value == DockerError(.inspect, .closed))
            #expect(Clients.descriptors(connectedTo: engine) == 0)
            let later = await Clients.failure { () async throws(DockerError) in
                try await client.inspect("good")
            }
            #expect(later?.reason == .closed)
        }
    }

    // MARK: Containers

    /// Docker says 409 both to a removal that is under way and to a container that runs.
    private static func removing(
        _ state: String = "removing",
        thenWait wait: [FakeEngine.Move],
        isGoneAfterwards: Bool
    ) -> FakeEngine.Script {
        let conflict = FakeAnswers.json(#"{"message":"under way"}"#, status: "409 Conflict")
        let container = FakeAnswers.container.replacing(#""running""#, with: #""\#(state)""#)
        let steps = Steps()
        return { request in
            switch (request.method, steps.next(request)) {
            case ("DELETE", _): conflict
            case ("POST", _): wait
            case ("GET", 1) where isGoneAfterwards:
                FakeAnswers.json(#"{"message":"no such"}"#, status: "404 Gone")
            case ("GET", _) where request.path.contains("/containers/"): FakeAnswers.json(container)
            default: FakeAnswers.working(request)
            }
        }
    }

    /// While the container is being killed for it, its state is still "running".
    @Test("a removal that is under way is waited for", arguments: ["removing", "running"])
    func removalUnderWay(state: String) async throws {
        let wait = FakeAnswers.json(#"{"StatusCode":0}"#)
        let script = Self.removing(state, thenWait: wait, isGoneAfterwards: true)
        try await Clients.withFake(script) { client, engine in
            let ending = try await client.remove("some", force: true, volumes: true)
            #expect(ending == .gone)
            let waited = engine.requests.last { $0.method == "POST" }
            #expect(
                waited?.path
                    == "/v1.41/containers/\(FakeAnswers.containerID)/wait?condition=removed"
            )
        }
    }

    @Test("a removal that does not end is late, by the time that the whole call had")
    func removalWithoutEnd() async throws {
        let script = Self.removing(thenWait: [.hang], isGoneAfterwards: true)
        try await Clients.withFake(script) { client, _ in
            try await client.agree()
            let error = await Clients.failure { () async throws(DockerError) in
                try await client.remove("some", force: true, volumes: true, limits: .brief)
            }
            #expect(error == DockerError(.remove, .late(after: .milliseconds(300))))
        }
    }

    @Test("a removal that failed is the engine's refusal")
    func removalThatFailed() async throws {
        let wait = FakeAnswers.json(#"{"StatusCode":0}"#)
        let script = Self.removing(thenWait: wait, isGoneAfterwards: false)
        try await Clients.withFake(script) { client, _ in
            let error = await Clients.failure { () async throws(DockerError) in
                try await client.remove("some", force: true, volumes: true)
            }
            #expect(error == DockerError(.remove, .answered(status: 409, "under way")))
        }
    }
}
