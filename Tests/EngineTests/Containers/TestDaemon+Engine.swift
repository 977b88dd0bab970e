// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// What a daemon's container engine has, and whether the daemon gets on with it.
extension TestDaemon {
    func waitUntilEngineIsReady() throws {
        let isReady = try Host.waits(upTo: .seconds(90)) {
            try api.status()["docker"]?["ready"]?.bool == true
        }
        try #require(isReady, "\(statusText)")
    }

    /// The daemon's containers, running or not, by name.
    func containers() throws -> [String] {
        let engine = API(socket: try #require(Host.engineSocket))
        let answer = try engine.answer("GET", "/v1.41/containers/json?all=1")
        try #require(answer.status == 200, "\(answer.text)")
        let node = try #require(ProcessTable.read(state + "/node"))
        return try answer.json.elements
            .filter { $0["Labels"]?["io.sandboxd.node"]?.text == node }
            .map { "\($0["Names"] ?? .null)" }
    }

    func leaks() throws -> [JSON] {
        try api.answer("GET", "/v1/leaks").json["leaks"]?.elements ?? []
    }

    /// What a failed expectation says.
    var statusText: String { (try? api.status()).map { "\($0)" } ?? "no status" }

    /// When nothing goes wrong any more: a run ends well, and nothing is left of anything.
    func recovers() throws {
        try waitUntilEngineIsReady()
        let report = try api.run(Run(["true"]))
        #expect(report.verdict == "ok" && report.isClean, "\(report.json)")
        let isClean = try Host.waits(upTo: .seconds(30)) {
            try leaks().isEmpty && containers().isEmpty
        }
        let left = "leaks \((try? leaks()) ?? []), containers \((try? containers()) ?? [])"
        #expect(isClean, "\(left)")
    }
}

extension Trait where Self == ConditionTrait {
    /// Needs a container engine.
    static var containerEngine: Self {
        .enabled(
            if: Host.engineSocket != nil && Host.socket != nil && Host.build != nil,
            "no container engine: run scripts/on-engine docker|podman"
        )
    }

    /// Needs an engine that runs as root.
    static var rootfulEngine: Self {
        .enabled(if: Host.isEngineRootful, "no engine of root's: run scripts/on-engine rootful")
    }
}
