// SPDX-License-Identifier: Apache-2.0
import NIOConcurrencyHelpers
import NIOCore
import NIOHTTP1
import NIOPosix
import Policy
import Testing

@testable import Egress

/// A request that is the body of another one, its length, and the same in chunks.
private let inner = "GET /inner HTTP/1.1\r\nHost: other.test\r\n\r\n"
private let length = inner.utf8.count
private let chunked = "\(String(length, radix: 16))\r\n\(inner)\r\n0\r\n\r\n"

/// The proxy, its clients and its servers see the end of each request and each answer at the same
/// byte: what is behind it, nobody has looked at.
@Suite("Where a request ends, and its answer", .serialized, .timeLimit(.minutes(2)))
struct FramingTests {
    /// What a client gets for `request` from a server that says `answer`, and whether the
    /// connection broke instead of ending.
    private static func relay(
        _ answer: String,
        to request: String
    ) async throws -> (text: String, isBroken: Bool) {
        let server = try await Parrot.serve { Array(answer.utf8) }
        let port = try #require(server.localAddress?.port)
        let result = try await TestSite.with { site in
            let conversation = try await site.open()
            let request = request.replacing("PLACE", with: "http://site.test:\(port)/")
            let bytes = try await conversation.talk(Array(request.utf8))
            let isBroken = conversation.isBroken.withLockedValue { $0 }
            return (String(decoding: bytes, as: UTF8.self), isBroken)
        }
        try await server.close()
        return result
    }

    // MARK: Requests

    @Test(
        "a body stays a body, however the request tells its end",
        arguments: [
            "Content-Length: \(length)\r\n\r\n\(inner)",
            "Connection: content-length\r\nContent-Length: \(length)\r\n\r\n\(inner)",
            "Connection: x, Content-Length , y\r\nContent-Length: \(length)\r\n\r\n\(inner)",
            "Transfer-Encoding: chunked\r\n\r\n\(chunked)",
            "Transfer-Encoding: Chunked\r\n\r\n\(chunked)",
            "TRANSFER-ENCODING: CHUNKED \r\n\r\n\(chunked)",
            "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n\(chunked)",
        ]
    )
    func body(rest: String) async throws {
        try await TestSite.with { site in
            for method in ["GET", "DELETE", "POST"] {
                let answer = try await site.talk(
                    "\(method) http://site.test:\(site.port)/outer HTTP/1.1\r\n" + rest
                )
                #expect(answer.contains("hello /outer \(length)"), "\(answer)")
            }
            let seen = site.seen.withLockedValue { $0 }
            #expect(seen.map(\.uri) == ["/outer", "/outer", "/outer"])
            for head in seen {
                let isCoded = rest.hasSuffix(chunked)
                #expect(head.headers["transfer-encoding"] == (isCoded ? ["chunked"] : []))
            }
        }
    }

    @Test(
        "a request whose end others could see elsewhere is refused, and goes nowhere",
        arguments: [
            "GET Transfer-Encoding: gzip, chunked\r\n\r\n\(chunked)",
            "POST Transfer-Encoding: gzip, chunked\r\n\r\n\(chunked)",
            "GET Transfer-Encoding: chunked, gzip\r\n\r\n\(chunked)",
            "GET Transfer-Encoding: identity\r\n\r\n\(inner)",
            "GET Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n\(chunked)",
            "GET Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n\(chunked)",
            "GET Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n\(chunked)",
            "GET Content-Length: 5\r\nContent-Length: 6\r\n\r\nxxxxxx",
            "GET Content-Length: 5, 5\r\n\r\nxxxxx",
            "TRACE Content-Length: \(length)\r\n\r\n\(inner)",
            "TRACE Transfer-Encoding: chunked\r\n\r\n\(chunked)",
        ]
    )
    func refused(request: String) async throws {
        try await TestSite.with { site in
            let words = request.split(separator: " ", maxSplits: 1)
            let answer = try await site.talk(
                "\(words[0]) http://site.test:\(site.port)/ HTTP/1.1\r\n\(words[1])"
            )
            #expect(answer.hasPrefix("HTTP/1.1 400"), "\(answer)")
            #expect(site.seen.withLockedValue { $0.isEmpty })
            #expect(site.ledger.lines.map(\.cause) == ["malformed"])
        }
    }

    /// The decoder refuses it, too: this holds without that.
    @Test("a head with a length and a transfer coding is none that goes on")
    func both() {
        let head = HTTPRequestHead(
            version: .http1_1,
            method: .POST,
            uri: "http://site.test/",
            headers: ["Content-Length": "5", "Transfer-Encoding": "chunked"]
        )
        #expect(throws: EgressRefusal.unframed("it has a length and a transfer coding")) {
            try ForwardedHead(head, headers: [])
        }
    }

    // MARK: What comes behind them

    @Test(
        "what comes behind a request is not taken, however much it is",
        arguments: [
            "Connection: Upgrade\r\nUpgrade: x\r\n\r\n", "\r\nCONNECT x:1 HTTP/1.1\r\n\r\n",
        ]
    )
    func behind(rest: String) async throws {
        // It never answers.
        let server = try await ServerBootstrap(group: TestSite.group)
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(server.localAddress?.port)
        let piece = ByteBuffer(repeating: UInt8(ascii: "x"), count: 1 << 16)
        try await TestSite.with { site in
            let conversation = try await site.open()
            let request = "GET http://site.test:\(port)/ HTTP/1.1\r\n" + rest
            try await conversation.channel.writeAndFlush(ByteBuffer(string: request))
            let taken = try await conversation.pour(piece, times: 2048, for: .seconds(2))
            // Those are in the kernel's buffers.
            #expect(taken < 64 << 20, "\(taken) bytes")
            #expect(site.ledger.bytes < 1000)
            try await conversation.channel.close()
            // Who sends a little ahead has its answer.
            let answer = try await site.talk(
                "GET http://site.test:\(site.port)/first HTTP/1.1\r\n" + rest + "more"
            )
            #expect(answer.contains("hello /first 0"), "\(answer)")
        }
        try await server.close()
    }

    @Test("what a client sends ahead of its tunnel goes through")
    func ahead() async throws {
        let bytes = 300_000
        try await TestSite.with { site in
            let answer = try await site.talk(
                "CONNECT site.test:\(site.port) HTTP/1.1\r\n\r\n"
                    + "POST /up HTTP/1.1\r\nHost: s\r\nConnection: close\r\n"
                    + "Content-Length: \(bytes)\r\n\r\n" + String(repeating: "x", count: bytes)
            )
            #expect(answer.contains("hello /up \(bytes)"), "\(answer)")
        }
    }

    // MARK: Answers

    @Test(
        "a client that knows of no chunks gets none",
        arguments: [
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\nhello", "HTTP/1.0 200 OK\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        ]
    )
    func old(answer: String) async throws {
        let (text, isBroken) = try await Self.relay(answer, to: "GET PLACE HTTP/1.0\r\n\r\n")
        #expect(text.hasPrefix("HTTP/1.0 200 OK\r\n") && text.hasSuffix("\r\n\r\nhello"), "\(text)")
        #expect(!text.lowercased().contains("transfer-encoding") && !isBroken, "\(text)")
    }

    @Test("an answer that breaks off has no end for a client, also for one that knows of no chunks")
    func broken() async throws {
        let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
        let new = try await Self.relay(answer, to: "GET PLACE HTTP/1.1\r\n\r\n")
        #expect(new.text.hasSuffix("5\r\nhello\r\n"), "\(new)")
        let old = try await Self.relay(answer, to: "GET PLACE HTTP/1.0\r\n\r\n")
        #expect(old.isBroken && !old.text.contains("chunked"), "\(old)")
    }

    @Test("an answer whose end is the encoder's to tell is whole, and nothing is added to it")
    func encoded() async throws {
        let get = try await Self.relay(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: CHUNKED\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            to: "GET PLACE HTTP/1.1\r\n\r\n"
        )
        #expect(get.text.hasSuffix("\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), "\(get)")
        for end in ["\r\n", "Content-Length: 5\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n"] {
            let head = try await Self.relay(
                "HTTP/1.1 200 OK\r\n" + end,
                to: "HEAD PLACE HTTP/1.1\r\n\r\n"
            )
            #expect(head.text.hasPrefix("HTTP/1.1 200 OK\r\n"), "\(head)")
            #expect(head.text.firstRange(of: "\r\n\r\n")?.upperBound == head.text.endIndex)
        }
    }

    @Test(
        "an answer whose end the client could see elsewhere is none",
        arguments: [
            "Transfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            "Transfer-Encoding: chunked, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            "Transfer-Encoding: gzip\r\n\r\nhello",
            "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            "Content-Length: 3\r\nContent-Length: 5\r\n\r\nhello",
        ]
    )
    func odd(rest: String) async throws {
        let (text, _) = try await Self.relay(
            "HTTP/1.1 200 OK\r\n" + rest,
            to: "GET PLACE HTTP/1.1\r\n\r\n"
        )
        #expect(text.hasPrefix("HTTP/1.1 502") && !text.contains("hello"), "\(text)")
    }
}
