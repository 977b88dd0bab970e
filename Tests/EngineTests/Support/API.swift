// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// A daemon's API, by its socket.
struct API: Sendable {
    let socket: String

    /// One exchange on a connection of its own.
    func answer(
        _ method: String, _ path: String, headers: [String: String] = [:], body: [UInt8]? = nil
    ) throws -> HTTPAnswer {
        let connection = try HTTPConnection(socket)
        do {
            try connection.send(method, path, headers: headers, body: body)
        } catch let error as SocketError where error.code == EPIPE || error.code == ECONNRESET {
            // The daemon may refuse before it has read everything; its answer says why.
        }
        return try connection.answer()
    }

    /// `POST /v1/runs` with `Accept: application/json`, whatever comes of it.
    func post(_ body: [UInt8]) throws -> HTTPAnswer {
        try answer(
            "POST", "/v1/runs",
            headers: ["Accept": "application/json", "Content-Type": "application/json"], body: body)
    }

    /// Runs what `run` says to its end.
    func run(_ run: Run, sourceLocation: SourceLocation = #_sourceLocation) throws -> Report {
        let answer = try post(try run.json.bytes)
        try #require(answer.status == 200, "\(answer.text)", sourceLocation: sourceLocation)
        return Report(json: try answer.json)
    }

    /// Starts what `run` says and comes back when the daemon has let it in.
    func start(_ run: Run) throws -> LiveRun {
        try LiveRun(self, run)
    }

    /// `GET /v1/status`.
    func status() throws -> JSON { try answer("GET", "/v1/status").json }

    /// The content of a kept artifact.
    func artifact(_ sha256: String) throws -> [UInt8] {
        let answer = try answer("GET", "/v1/artifacts/\(sha256)")
        try #require(answer.status == 200, "\(answer.text)")
        return answer.body
    }
}

/// What a test asks the daemon to run.
struct Run: Sendable {
    var json: JSON

    /// A command line.
    init(_ arguments: [String], profile: String = "code", _ more: [String: JSON] = [:]) {
        var members: [String: JSON] = [
            "profile": .string(profile), "argv": .array(arguments.map(JSON.string)),
        ]
        members.merge(more) { $1 }
        json = .object(members)
    }

    /// A line of `sh`.
    static func shell(_ script: String, _ more: [String: JSON] = [:]) -> Run {
        Run(["sh", "-c", script], more)
    }

    /// A Python program.
    static func python(_ program: String, _ more: [String: JSON] = [:]) -> Run {
        Run(["python3", "-c", program], more)
    }

    /// The same with tighter limits.
    func limited(_ limits: [String: JSON]) -> Run {
        var copy = self
        if case .object(var members) = json {
            members["limits"] = .object(limits)
            copy.json = .object(members)
        }
        return copy
    }
}

/// What came of a run.
struct Report: Sendable {
    let json: JSON

    var verdict: String { json["verdict"]?.text ?? "none" }
    var exitCode: Int? { json["exit_code"]?.int }
    var signal: Int? { json["signal"]?.int }
    var attempt: String { json["attempt_id"]?.text ?? "" }
    var isClean: Bool { json["receipt"]?["clean"]?.bool ?? false }

    /// Standard output as bytes.
    var stdout: [UInt8] { Self.bytes(json["stdout"], json["stdout_encoding"]) }
    /// Standard error as bytes.
    var stderr: [UInt8] { Self.bytes(json["stderr"], json["stderr_encoding"]) }
    /// Standard output as text without the white space at its ends.
    var text: String {
        String(decoding: stdout, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// A number of the evidence.
    func evidence(_ name: String) -> Double? { json["evidence"]?[name]?.double }
    /// A number of the usage.
    func usage(_ name: String) -> Double? { json["usage"]?[name]?.double }
    /// A number of the timing, in milliseconds.
    func timing(_ name: String) -> Double { json["timing"]?[name]?.double ?? -1 }

    /// The artifacts that were kept, by name.
    var artifacts: [[UInt8]: JSON] {
        Self.named(json["artifacts"])
    }
    /// The reasons for which others were not.
    var refused: [[UInt8]: String] {
        Self.named(json["artifacts_refused"]).mapValues { $0["reason"]?.text ?? "" }
    }

    private static func named(_ list: JSON?) -> [[UInt8]: JSON] {
        let pairs = (list?.elements ?? []).map {
            (bytes($0["path"], $0["path_encoding"]), $0)
        }
        return Dictionary(pairs) { $1 }
    }

    private static func bytes(_ value: JSON?, _ encoding: JSON?) -> [UInt8] {
        let text = value?.text ?? ""
        guard encoding?.text == "base64" else { return Array(text.utf8) }
        return Data(base64Encoded: text).map(Array.init) ?? []
    }
}

/// A run that goes on, heard event by event.
final class LiveRun {
    let attempt: String
    private let connection: HTTPConnection
    private var rest: [UInt8] = []
    /// What each stream has brought so far.
    private(set) var output: [String: [UInt8]] = [:]

    /// Starts it; throws what the daemon answers when it does not let it in.
    fileprivate init(_ api: API, _ run: Run) throws {
        connection = try HTTPConnection(api.socket)
        try connection.send(
            "POST", "/v1/runs", headers: ["Content-Type": "application/json"],
            body: try run.json.bytes)
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
            "POST", "/v1/runs", headers: ["Content-Type": "application/x-ndjson"])
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
            try #require(try next()?["result"] == nil, "it ended before it said '\(text)'")
        }
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
