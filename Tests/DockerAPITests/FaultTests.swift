// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import DockerAPI

@Suite("An engine that is faulty", .timeLimit(.minutes(2))) struct FaultTests {
    @Test(
        "a fault in an answer is named, leaves nothing open, and the next call is good",
        arguments: Fault.ofTransport + Fault.ofContents
    )
    func fault(_ fault: Fault) async throws {
        let script = FakeAnswers.working(but: "GET", "/containers/spoilt/") { _ in fault.moves }
        try await Clients.withFake(script) { client, engine in
            try await client.agree()
            let error = await Clients.failure { () async throws(DockerError) in
                try await client.inspect("spoilt", limits: fault.limits)
            }
            let reason = try #require(error?.reason)
            #expect(fault.isRight(reason), "\(reason)")
            #expect(error?.call == .inspect)
            #expect(error?.description.contains("\n") == false)
            let good = try await client.inspect("good")
            #expect(good?.id == FakeAnswers.containerID)
            await client.close()
            #expect(Clients.descriptors(connectedTo: engine) == 0)
        }
    }

    @Test(
        "whoever speaks no HTTP at the first call is no engine, or is lost or late",
        arguments: Fault.ofTransport
    )
    func faultAtFirst(_ fault: Fault) async throws {
        let script = FakeAnswers.working(but: "GET", "/_ping") { _ in fault.moves }
        try await Clients.withFake(script) { client, engine in
            let error = await Clients.failure { () async throws(DockerError) in
                try await client.agree(within: fault.limits)
            }
            let reason = try #require(error?.reason)
            let isNone = if case .notAnEngine = reason { true } else { false }
            #expect(fault.isRight(reason) || isNone, "\(reason)")
            engine.answer(FakeAnswers.working)
            #expect(try await client.agree().version == APIVersion(major: 1, minor: 41))
            await client.close()
            #expect(Clients.descriptors(connectedTo: engine) == 0)
        }
    }

    @Test("the detector of open connections sees one that is left open")
    func detector() async throws {
        try await Clients.withFake { client, engine in
            #expect(Clients.descriptors(connectedTo: engine) == 0)
            try await client.agree()
            #expect(Clients.descriptors(connectedTo: engine) == 1)
        }
    }

    /// Whole numbers of descriptors, of the whole process: other tests move them by a few.
    @Test("a hundred clients, each with a call that fails, leave no descriptor of any kind")
    func manyClients() async throws {
        let engine = try FakeEngine(
            FakeAnswers.working(but: "GET", "/containers/spoilt/") { _ in [.close] }
        )
        defer { engine.stop() }
        let before = Clients.openDescriptors().count
        for _ in 0..<100 {
            let client = try Clients.client(of: engine)
            let error = await Clients.failure { () async throws(DockerError) in
                try await client.inspect("spoilt")
            }
            #expect(error?.blamesEngine == true)
            _ = try await client.inspect("good")
        }
        // Each was let go without being closed; the loop does that a moment later.
        try await Clients.untilLoopIsIdle()
        #expect(Clients.descriptors(connectedTo: engine) == 0)
        #expect(Clients.openDescriptors().count < before + 80)
    }
}
