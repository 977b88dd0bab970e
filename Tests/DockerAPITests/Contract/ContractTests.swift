// SPDX-License-Identifier: Apache-2.0
import Testing

/// What every engine is held to: the same table, on each that is there.
@Suite("The contract, on Docker", .engine(.docker), .serialized, .timeLimit(.minutes(5)))
struct DockerContractTests {
    @Test("of an engine is kept", arguments: Contract.rows)
    func row(_ row: Contract.Row) async throws {
        try await TestEngine.docker.withBench(row.body)
    }
}

@Suite("The contract, on Podman", .engine(.podman), .serialized, .timeLimit(.minutes(5)))
struct PodmanContractTests {
    @Test("of an engine is kept", arguments: Contract.rows)
    func row(_ row: Contract.Row) async throws {
        try await TestEngine.podman.withBench(row.body)
    }
}
