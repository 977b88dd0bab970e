// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// A run that goes on, heard event by event.
final class LiveRun {
    let attempt: String
    private let connection: HTTPConnection
    private var rest: [UInt8] = []
    /// What each stream has brought so far.
    private(set) var output: [String: [UInt8]] = [:]

    /// Starts it; throws what the daemon answers when it does not let it in.
    init(_ api: API, _ run: Run) throws {
        connection = try HTTPConnection(api.socket)
        try connection.send(
            "POST",
            "/v1/runs",
            headers: ["Content-Type": "application/json"],
            body: try run.json.bytes
        )
        let head = try connection.head()
        guard head.status == 200, let first = try Self.event(connection, &rest) else {
            throw SocketError("starting a run: status \(head.status)", EPROTO)
        }
        attempt = first["attempt_id"]?.text ?? ""
    }

    /// Starts it with an open body, through which `feed` gives standard input.
    init(streaming api: API, _ run: Run) throws {
        connection = try HTTPConnection(api.socket)
        try connection.begin(
            "POST",
            "/v1/runs",
            headers: ["Content-Type": "application/x-ndjson"]
        )
        try connection.chunk(try run.json.bytes + [10])
        let head = try connection.head()
        guard head.status == 200, let first = try Self.event(connection, &rest) else {
            throw SocketError("starting a run: status \(head.status)", EPROTO)
        }
        attempt = first["attempt_id"]?.text ?? ""
    }

    /// Gives the job more standard input.
    func feed(_ text: String) throws {
        let line: JSON = ["stdin": .string(Data(text.utf8).base64EncodedString())]
        try connection.chunk(try line.bytes + [10])
    }

    /// Ends the job's standard input.
    func endInput() throws { try connection.chunk([]) }

    /// The next event; nil when the answer has ended.
    func next() throws -> JSON? {
        guard let event = try Self.event(connection, &rest) else { return nil }
        if let stream = event["event"]?.text, let data = event["data"]?.text {
            output[stream, default: []] += Data(base64Encoded: data).map(Array.init) ?? []
        }
        return event
    }

    /// Waits until standard output holds `text`.
    func waits(for text: String) throws {
        while !String(decoding: output["stdout"] ?? [], as: UTF8.self).contains(text) {
            let result = try next()?["result"]
            try #require(result == nil, "it ended before it said '\(text)': \(Self.how(result))")
        }
    }

    private static func how(_ result: JSON?) -> String {
        ["verdict", "evidence"].map { "\($0) \(String(describing: result?[$0]))" }
            .joined(separator: ", ")
    }

    /// Hears the rest, and answers the result.
    func report() throws -> Report {
        var result: JSON?
        while let event = try next() { result = event["result"] ?? result }
        return Report(json: try #require(result, "the answer ended without a result"))
    }

    /// Closes the connection, which cancels the run.
    func cancel() { connection.close() }

    private static func event(_ connection: HTTPConnection, _ rest: inout [UInt8]) throws -> JSON? {
        while true {
            if let end = rest.firstIndex(of: 10) {
                let line = Array(rest[..<end])
                rest.removeFirst(end + 1)
                return try JSON(line)
            }
            guard let piece = try connection.next() else { return nil }
            rest += piece
        }
    }
}
