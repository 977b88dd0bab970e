// SPDX-License-Identifier: Apache-2.0
import Yams

/// One row of `Tests/Probes/requests.yaml`: a request that must be refused before anything runs.
struct ProbeRequest: Decodable, Sendable {
    /// The row of the list of probes, and a variant behind a dot.
    let id: String

    /// What is true when it passes: the test's name.
    let fact: String

    /// The body of `POST /v1/runs`, with `${repeat:TEXT:COUNT}` not spelt out yet.
    private let body: String

    /// The status codes that may answer.
    let status: [Int]

    /// What the answer's message must hold, so that it is refused for what it is here for.
    let says: String?

    /// Reads the table from `yaml`.
    static func table(yaml: String) throws -> [ProbeRequest] {
        try YAMLDecoder().decode(Table.self, from: yaml).requests
    }

    init(from decoder: any Decoder) throws {
        let values = try StrictContainer<Key>(decoder)
        id = try values.value(.id)
        fact = try values.value(.fact)
        body = try values.value(.body)
        status = try values.value(.status)
        says = try values.optional(.says)
    }

    private enum Key: String, CodingKey, CaseIterable {
        case id, fact, body, status, says
    }

    private struct Table: Decodable {
        let requests: [ProbeRequest]
    }

    /// The bytes to send.
    func bytes() throws(ProbeTableError) -> [UInt8] {
        guard let start = body.firstRange(of: "${repeat:") else { return Array(body.utf8) }
        let rest = body[start.upperBound...]
        guard let end = rest.firstIndex(of: "}"), let colon = rest[..<end].lastIndex(of: ":"),
            let count = Int(rest[rest.index(after: colon)..<end])
        else {
            throw .row(id, "has a malformed repetition")
        }
        let repeated = String(repeating: String(rest[..<colon]), count: count)
        return Array(body[..<start.lowerBound].utf8) + Array(repeated.utf8)
            + Array(rest[rest.index(after: end)...].utf8)
    }
}
