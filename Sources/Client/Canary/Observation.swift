// SPDX-License-Identifier: Apache-2.0
package import JSON

/// What is seen of one of two runs of the same command.
package struct Observation: Sendable, Hashable {
    /// One of a run's two output streams.
    package struct Stream: Sendable, Hashable {
        package var bytes: Int
        /// Lowercase hex; nil when not all of it was seen.
        package var sha256: String?

        package init(bytes: Int, sha256: String?) {
            self.bytes = bytes
            self.sha256 = sha256
        }
    }

    /// As a shell has it: the exit code, or 128 and the signal's number. nil when it did not get so
    /// far: `verdict` says why.
    package var status: Int?
    /// The sandbox's word for it; nil on the host.
    package var verdict: String?
    /// nil when it went straight to a terminal.
    package var output: Stream?
    package var errorOutput: Stream?
    /// Digests by path; nil when nobody asked for artifacts.
    package var artifacts: [String: String]?
    package var wallMilliseconds: Double
    /// Of the host's command, its largest process; of a sandbox, all of it.
    package var memoryPeakBytes: Int

    package init(wallMilliseconds: Double, memoryPeakBytes: Int) {
        self.wallMilliseconds = wallMilliseconds
        self.memoryPeakBytes = memoryPeakBytes
    }

    /// Of a run's result, as the API words it.
    package init(result: JSONValue, withArtifacts: Bool) {
        wallMilliseconds = result["usage"]?["wall_ms"]?.double ?? 0
        memoryPeakBytes = result["usage"]?["memory_peak_bytes"]?.int ?? 0
        verdict = result["verdict"]?.text ?? "engine_error"
        status = Outcome(result).commandStatus.map(Int.init)
        output = Self.stream(result, "stdout")
        errorOutput = Self.stream(result, "stderr")
        guard withArtifacts else { return }
        var digests: [String: String] = [:]
        for artifact in result["artifacts"]?.elements ?? [] {
            if let path = artifact["path"]?.text { digests[path] = artifact["sha256"]?.text }
        }
        artifacts = digests
    }

    private static func stream(_ result: JSONValue, _ name: String) -> Stream {
        Stream(
            bytes: result[name + "_bytes"]?.int ?? 0,
            sha256: result[name + "_sha256"]?.text
        )
    }

    // MARK: JSON

    /// As the API takes it.
    package var json: JSONValue {
        var members: [String: JSONValue] = [
            "wall_ms": .number(String(Int(wallMilliseconds))),
            "memory_peak_bytes": .number(String(memoryPeakBytes)),
        ]
        if let status { members["status"] = .number(String(status)) }
        if let verdict { members["verdict"] = .string(verdict) }
        if let output { members["stdout"] = Self.json(output) }
        if let errorOutput { members["stderr"] = Self.json(errorOutput) }
        if let artifacts { members["artifacts"] = .object(artifacts.mapValues(JSONValue.string)) }
        return .object(members)
    }

    private static func json(_ stream: Stream) -> JSONValue {
        .object([
            "bytes": .number(String(stream.bytes)),
            "sha256": stream.sha256.map(JSONValue.string) ?? .null,
        ])
    }

    /// Of what `json` made; nil when it is something else.
    package init?(_ json: JSONValue) {
        guard let wall = json["wall_ms"]?.double, let memory = json["memory_peak_bytes"]?.int
        else { return nil }
        self.init(wallMilliseconds: wall, memoryPeakBytes: memory)
        status = json["status"]?.int
        verdict = json["verdict"]?.text
        output = Self.stream(json["stdout"])
        errorOutput = Self.stream(json["stderr"])
        if case .object(let members)? = json["artifacts"] {
            artifacts = members.compactMapValues(\.text)
        }
    }

    private static func stream(_ json: JSONValue?) -> Stream? {
        guard let json, let bytes = json["bytes"]?.int else { return nil }
        return Stream(bytes: bytes, sha256: json["sha256"]?.text)
    }
}
