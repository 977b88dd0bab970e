// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

extension ProbeRequest: CustomTestStringConvertible {
    var testDescription: String { "\(id): \(fact)" }
}

@Suite("Requests that make no sense", .daemon, .beside)
struct BadInputTests {
    /// The rows, or none when the table cannot be read, which a test of its own tells.
    private static let rows: [ProbeRequest] =
        (try? ProbeRequest.table(yaml: Host.file("Probes/requests.yaml"))) ?? []

    @Test("the table of them can be read, and each row has a name of its own")
    func table() throws {
        let rows = try ProbeRequest.table(yaml: Host.file("Probes/requests.yaml"))
        #expect(rows.count > 30)
        #expect(Set(rows.map(\.id)).count == rows.count)
    }

    @Test("each is refused in words of its own, and nothing runs", arguments: rows)
    func refused(_ row: ProbeRequest) throws {
        let api = try Host.daemon()
        let answer = try api.post(try row.bytes())
        #expect(row.status.contains(answer.status), "\(answer.status) \(answer.text.prefix(400))")
        guard answer.status != 200 else { return }
        let error = try answer.json["error"]
        #expect(try answer.json.keys == ["error"])
        #expect(error?.keys == ["code", "message"])
        let message = error?["message"]?.text ?? ""
        #expect(!message.isEmpty && message.utf8.count < 2000, "\(message.utf8.count) bytes")
        if let says = row.says { #expect(message.contains(says), "\(message)") }
        for secret in ["/var/lib", "/tmp/", "Swift.", "DecodingError"] {
            #expect(!answer.text.contains(secret), "\(answer.text)")
        }
    }

    @Test("a kept connection goes on after a refusal")
    func goesOn() throws {
        let connection = try HTTPConnection(Host.daemon().socket)
        for _ in 0..<3 {
            try connection.send("POST", "/v1/runs", body: Array("{}".utf8))
            #expect(try connection.answer().status == 400)
            try connection.send("GET", "/healthz")
            #expect(try connection.answer().status == 200)
        }
    }

    @Test("what is no HTTP closes the connection, and the daemon goes on")
    func noHTTP() throws {
        let api = try Host.daemon()
        let connection = try HTTPConnection(api.socket, patience: .seconds(5))
        try connection.write(Array("\u{16}\u{3}\u{1} nonsense\r\n\r\n".utf8))
        do {
            #expect(try connection.head().status == 400)
        } catch let error as SocketError {
            // Closed without a word is as good.
            #expect(error.code == ECONNRESET)
        }
        #expect(try api.answer("GET", "/healthz").status == 200)
    }

    @Test("a caller that goes away in the middle of its request leaves nothing", .ownDaemon)
    func half() throws {
        let daemon = try TestDaemon()
        let api = daemon.api
        for _ in 0..<20 {
            let connection = try HTTPConnection(api.socket)
            try connection.write(
                Array("POST /v1/runs HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{\"pro".utf8)
            )
            connection.close()
        }
        let settled = try Host.waits(upTo: .seconds(5)) {
            let status = try api.status()
            return status["memory"]?["reserved_bytes"]?.int == 0 && status["runs"]?.int == 0
        }
        #expect(settled)
        daemon.stop()
    }

    @Test("an input line that is broken is the end of the job's input")
    func brokenLine() throws {
        let connection = try HTTPConnection(Host.daemon().socket)
        try connection.begin(
            "POST",
            "/v1/runs",
            headers: ["Content-Type": "application/x-ndjson", "Accept": "application/json"]
        )
        try connection.chunk(
            Array("{\"profile\":\"code\",\"argv\":[\"wc\",\"-c\"],\"stdin_stream\":true}\n".utf8)
        )
        try connection.chunk(Array("{\"stdin\":\"aGFsbG8=\"}\nno json\n".utf8))
        let answer = try connection.answer()
        #expect(answer.status == 200)
        #expect(try Report(json: answer.json).text == "5")
    }
}
