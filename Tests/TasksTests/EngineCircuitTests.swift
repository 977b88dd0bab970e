// SPDX-License-Identifier: Apache-2.0
import Tasks
import Testing

@Suite("What the database remembers of engines", .database)
struct EngineCircuitTests {
    @Test("a broken engine stays known over a restart, until it works; each node has its own")
    func remembered() async throws {
        try await TaskDatabase.with { database in
            try await database.withQueue { queue in
                #expect(try await queue.circuit(of: "docker", node: "a") == nil)
                let broken = TaskQueue.Circuit(
                    failures: 3,
                    reason: "docker create: it's \"gone\"",
                    cooldown: .seconds(60)
                )
                try await queue.keep(broken, of: "docker", node: "a")
                let known = try #require(try await queue.circuit(of: "docker", node: "a"))
                #expect(known.failures == 3 && known.reason == broken.reason)
                #expect(known.cooldown > .seconds(30) && known.cooldown <= .seconds(60))
                #expect(try await queue.circuit(of: "docker", node: "b") == nil)
                #expect(try await queue.circuit(of: "podman", node: "a") == nil)
                try await queue.keep(
                    TaskQueue.Circuit(failures: 0, reason: "", cooldown: .zero),
                    of: "docker",
                    node: "a"
                )
                #expect(try await queue.circuit(of: "docker", node: "a") == nil)
            }
        }
    }
}
