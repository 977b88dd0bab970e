// SPDX-License-Identifier: Apache-2.0
import Glibc
import Testing

/// A daemon's API, by its socket.
struct API: Sendable {
    let socket: String

    /// One exchange on a connection of its own.
    func answer(
        _ method: String,
        _ path: String,
        headers: [String: String] = [:],
        body: [UInt8]? = nil
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
            "POST",
            "/v1/runs",
            headers: ["Accept": "application/json", "Content-Type": "application/json"],
            body: body
        )
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
