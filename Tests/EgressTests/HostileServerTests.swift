// SPDX-License-Identifier: Apache-2.0
import NIOCore
import NIOPosix
import Policy
import Testing

@testable import Egress

/// Says the same to everybody, whatever they say, and hangs up.
final class Parrot: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let words: @Sendable () -> [UInt8]

    init(_ words: @escaping @Sendable () -> [UInt8]) { self.words = words }

    /// A server of them.
    static func serve(_ words: @escaping @Sendable () -> [UInt8]) async throws -> any Channel {
        try await ServerBootstrap(group: TestSite.group)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Parrot(words))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: words())), promise: nil)
        context.close(promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}

@Suite("Servers that answer what they should not", .serialized, .timeLimit(.minutes(2)))
struct HostileServerTests {
    /// Answers of servers, as they should be.
    private static let answers: [[UInt8]] = [
        Array("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".utf8),
        Array("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n".utf8),
        Array("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.0 404 No\r\nConnection: close\r\n\r\n".utf8),
        // The beginning of a TLS server's hello.
        [22, 3, 3, 0, 48, 2, 0, 0, 44, 3, 3] + [UInt8](repeating: 7, count: 32)
            + [0, 0x13, 0x01, 0, 0, 6, 0, 43, 0, 2, 3, 4],
        // An alert.
        [21, 3, 3, 0, 2, 2, 40],
    ]

    @Sendable
    private static func garbage() -> [UInt8] {
        var bytes = answers.randomElement() ?? []
        for _ in 0..<Int.random(in: 0...6) {
            bytes[Int.random(in: 0..<bytes.count)] = .random(in: 0...255)
        }
        return bytes
    }

    @Test("random answers, plain or in the place of TLS, end their connection and nothing else")
    func fuzz() async throws {
        let server = try await Parrot.serve(Self.garbage)
        let port = try #require(server.localAddress?.port)
        let trust = try ServerTLS()
        let place = Authority(host: .name("tls.test"), port: UInt16(port))
        try await TestSite.with(
            rules: ["*:*"],
            names: ["site.test": ["127.0.0.1"], "tls.test": ["127.0.0.1"]],
            headers: { _ in [HeaderRule(place: place, name: "X", value: "secret", tls: trust)] }
        ) { site in
            for round in 0..<300 {
                let host = round.isMultiple(of: 2) ? "site.test" : "tls.test"
                let answer = try await site.talk("GET http://\(host):\(port)/ HTTP/1.1\r\n\r\n")
                #expect(answer.hasPrefix("HTTP/1."), "\(answer)")
                if host == "tls.test" { #expect(answer.hasPrefix("HTTP/1.1 502"), "\(answer)") }
            }
            let after = try await site.talk(
                "GET http://site.test:\(site.port)/after HTTP/1.1\r\n\r\n"
            )
            #expect(after.contains("hello /after"), "\(after)")
        }
        try await server.close()
    }
}
