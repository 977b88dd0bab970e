// SPDX-License-Identifier: Apache-2.0
internal import JSON

/// An HTTP answer, complete.
struct EngineAnswer: Sendable, Equatable {
    /// What is read of the header; the rest of it is counted and forgotten.
    struct Header: Sendable, Equatable {
        var status = 0
        var contentType: String?
        var apiVersion: String?
        var server: String?
    }

    var header = Header()
    /// Empty when it was taken line by line.
    var body: [UInt8] = []

    /// What the body says, when that was found out already; nil is a body that is no JSON.
    private var parsed: JSONValue??

    /// Longer bodies are read elsewhere than on the loop, which they would hold up.
    private static let shortBytes = 64 << 10

    var status: Int { header.status }

    /// What the body says; nil when it is no JSON.
    var json: JSONValue? { parsed ?? JSONParser.parse(body) }

    /// Reads a long body while the loop serves others.
    mutating func readIfLong() async {
        if body.count > Self.shortBytes { parsed = .some(await Self.read(body)) }
    }

    @concurrent
    private static func read(_ body: [UInt8]) async -> JSONValue? {
        JSONParser.parse(body)
    }
}
