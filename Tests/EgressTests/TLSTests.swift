// SPDX-License-Identifier: Apache-2.0
import NIOConcurrencyHelpers
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import Policy
import Testing

@testable import Egress

@Suite("Requests that go on over TLS", .serialized, .timeLimit(.minutes(2)))
struct TLSTests {
    private static let secret = "correct horse battery"

    private static func rule(
        _ port: Int,
        _ tls: ServerTLS,
        host: String = "site.test"
    ) throws
        -> [HeaderRule]
    {
        let place = Authority(host: try HostName(host.utf8), port: UInt16(port))
        return [HeaderRule(place: place, name: "Authorization", value: secret, tls: tls)]
    }

    private static func get(
        _ site: TestSite,
        _ path: String = "/",
        host: String = "site.test"
    )
        -> String
    {
        "GET http://\(host):\(site.port)\(path) HTTP/1.1\r\nAuthorization: theirs\r\n\r\n"
    }

    @Test("the server is asked for by its name, and sees the header; the job sees its answer alone")
    func origination() async throws {
        try await TestCertificates.with { certificates in
            let asked = NIOLockedValueBox<[String]>([])
            let trust = try certificates.trust()
            try await TestSite.with(
                tls: try certificates.server("site", asked: asked),
                headers: { try Self.rule($0, trust) }
            ) { site in
                let answer = try await site.talk(Self.get(site, "/a?b"))
                #expect(answer.hasPrefix("HTTP/1.1 200"), "\(answer)")
                #expect(answer.contains("hello /a?b 0") && !answer.contains(Self.secret))
                #expect(answer.hasSuffix("0\r\n\r\n"))
                let head = try #require(site.seen.withLockedValue { $0.last })
                #expect(head.headers["authorization"] == [Self.secret])
                #expect(head.headers["host"] == ["site.test:\(site.port)"])
                #expect(asked.withLockedValue { $0 } == ["site.test"])
                let line = try #require(site.ledger.lines.first)
                #expect(site.ledger.lines.count == 1 && line.rule == "site.test:*")
                // Handshake included: what goes over the network counts.
                #expect(line.receivedBytes > 400 && line.sentBytes > 300)
                #expect(!"\(site.ledger.lines)".contains(Self.secret))
            }
        }
    }

    @Test("an address is held to a certificate for the address")
    func address() async throws {
        try await TestCertificates.with { certificates in
            let trust = try certificates.trust()
            for (name, isTaken) in [("address", true), ("site", false)] {
                try await TestSite.with(
                    rules: ["127.0.0.1:*"],
                    tls: try certificates.server(name),
                    headers: { try Self.rule($0, trust, host: "127.0.0.1") }
                ) { site in
                    let answer = try await site.talk(Self.get(site, host: "127.0.0.1"))
                    #expect(
                        answer.hasPrefix(isTaken ? "HTTP/1.1 200" : "HTTP/1.1 502"),
                        "\(answer)"
                    )
                }
            }
        }
    }

    @Test(
        "a server that does not prove to be the host gets nothing, and the job a 502 that says why"
    )
    func untrusted() async throws {
        try await TestCertificates.with { certificates in
            let trust = try certificates.trust()
            let cases: [(name: String, trust: ServerTLS, why: String)] = [
                ("expired", trust, "its certificate has expired"),
                ("other", trust, "its certificate is for another host"),
                // Its address is the right one, and that is what it is for.
                ("address", trust, "its certificate is for another host"),
                ("nameless", trust, "its certificate is for another host"),
                ("selfmade", trust, "of no authority"),
                ("site", try ServerTLS(), "of no authority"),
            ]
            for (name, trust, why) in cases {
                try await TestSite.with(
                    tls: try certificates.server(name),
                    headers: { try Self.rule($0, trust) }
                ) { site in
                    let answer = try await site.talk(Self.get(site))
                    #expect(answer.hasPrefix("HTTP/1.1 502"), "\(name): \(answer)")
                    #expect(answer.contains("site.test") && answer.contains(why), "\(answer)")
                    #expect(site.seen.withLockedValue { $0.isEmpty })
                    let line = try #require(site.ledger.lines.last)
                    #expect(line.rule == nil && line.reason?.contains(why) == true, "\(line)")
                    #expect(line.place == "site.test:\(site.port)")
                    #expect(!(answer + "\(site.ledger.lines)").contains(Self.secret))
                }
            }
        }
    }

    @Test("TLS before 1.2 is not spoken, and what is no TLS gets no plain request instead")
    func old() async throws {
        try await TestCertificates.with { certificates in
            let trust = try certificates.trust()
            for tls in [try certificates.server("site", atMost: .tlsv11), nil] {
                try await TestSite.with(tls: tls, headers: { try Self.rule($0, trust) }) { site in
                    let answer = try await site.talk(Self.get(site))
                    #expect(answer.hasPrefix("HTTP/1.1 502"), "\(answer)")
                    #expect(answer.contains("TLS: the handshake failed ("), "\(answer)")
                    #expect(site.seen.withLockedValue { $0.isEmpty })
                }
            }
            try await TestSite.with(
                tls: try certificates.server("site", atMost: .tlsv12),
                headers: { try Self.rule($0, trust) }
            ) { site in
                let answer = try await site.talk(Self.get(site))
                #expect(answer.hasPrefix("HTTP/1.1 200"), "\(answer)")
            }
        }
    }

    @Test("a server that accepts and says nothing is given up on time, one that hangs up at once")
    func silent() async throws {
        let trust = try ServerTLS()
        for (isPatient, status, why) in [
            (true, 504, "no answer within 0.2 s"), (false, 502, "ended the connection"),
        ] {
            let server = try await ServerBootstrap(group: TestSite.group)
                .childChannelInitializer { channel in
                    if !isPatient { channel.close(promise: nil) }
                    return channel.eventLoop.makeSucceededVoidFuture()
                }
                .bind(host: "127.0.0.1", port: 0).get()
            let port = try #require(server.localAddress?.port)
            var patience = Patience()
            if isPatient { patience.handshake = .milliseconds(200) }
            try await TestSite.with(
                patience: patience,
                headers: { _ in try Self.rule(port, trust) }
            ) { site in
                let answer = try await site.talk("GET http://site.test:\(port)/ HTTP/1.1\r\n\r\n")
                #expect(answer.hasPrefix("HTTP/1.1 \(status)"), "\(answer)")
                #expect(answer.contains(why), "\(answer)")
            }
            try await server.close()
        }
    }

    @Test("large bodies go through whole, both ways")
    func large() async throws {
        let bytes = 5_000_000
        try await TestCertificates.with { certificates in
            let trust = try certificates.trust()
            try await TestSite.with(
                tls: try certificates.server("site"),
                headers: { try Self.rule($0, trust) }
            ) { site in
                let down = try await site.talk(Array(Self.get(site, "/bytes/\(bytes)").utf8))
                #expect(down.count > bytes)
                let up =
                    "POST http://site.test:\(site.port)/up HTTP/1.1\r\n"
                    + "Content-Length: \(bytes)\r\n\r\n" + String(repeating: "x", count: bytes)
                let answer = try await site.talk(up)
                #expect(answer.contains("hello /up \(bytes)"))
                let line = try #require(site.ledger.lines.first)
                #expect(line.sentBytes > bytes && line.receivedBytes > bytes)
            }
        }
    }

    @Test("an answer that is cut off on the way does not look whole")
    func cut() async throws {
        try await TestCertificates.with { certificates in
            let trust = try certificates.trust()
            try await TestSite.with(
                tls: try certificates.server("site"),
                headers: { try Self.rule($0, trust) }
            ) { site in
                let answer = try await site.talk(Self.get(site, "/cut"))
                #expect(answer.contains("xxxx"), "\(answer.prefix(200))")
                // The last chunk is missing.
                #expect(!answer.hasSuffix("0\r\n\r\n"), "\(answer.suffix(20).debugDescription)")
            }
        }
    }

    @Test("a redirect is the job's to follow, and TRACE, which would show the header, is refused")
    func others() async throws {
        try await TestCertificates.with { certificates in
            let trust = try certificates.trust()
            try await TestSite.with(
                tls: try certificates.server("site"),
                headers: { try Self.rule($0, trust) }
            ) { site in
                let moved = try await site.talk(Self.get(site, "/moved"))
                #expect(moved.hasPrefix("HTTP/1.1 302"), "\(moved)")
                #expect(moved.contains("https://elsewhere.test/"), "\(moved)")
                let trace = try await site.talk(
                    "TRACE http://site.test:\(site.port)/ HTTP/1.1\r\n\r\n"
                )
                #expect(trace.hasPrefix("HTTP/1.1 403") && trace.contains("TRACE"), "\(trace)")
                #expect(site.seen.withLockedValue { $0.count } == 1)
                // A tunnel is the job's own: nothing is put in there, and no TLS is spoken.
                let tunnel = try await site.talk(
                    "CONNECT site.test:\(site.port) HTTP/1.1\r\n\r\n"
                        + "GET / HTTP/1.1\r\nConnection: close\r\n\r\n"
                )
                #expect(!tunnel.contains("hello"), "\(tunnel)")
            }
        }
    }

    @Test(
        "a certificate's name covers a host, or the first label of one",
        arguments: [
            ("site.test", "site.test", true), ("*.site.test", "a.site.test", true),
            ("*.site.test", "site.test", false), ("*.site.test", "a.b.site.test", false),
            ("*.test", "site.test", false), ("s*.site.test", "sa.site.test", false),
            ("*", "site", false), ("a.*.test", "a.site.test", false), ("", "site.test", false),
            ("site.test.evil", "site.test", false), ("site.test\0.evil", "site.test", false),
        ]
    )
    func covers(pattern: String, host: String, expected: Bool) {
        #expect(NIOSSLCertificate.covers(pattern, host) == expected)
    }

    @Test("a header's value does not come out by printing its rule")
    func unprinted() throws {
        let rule = try #require(try Self.rule(443, try ServerTLS()).first)
        var dumped = ""
        dump(rule, to: &dumped)
        for text in ["\(rule)", "\([rule])", String(reflecting: rule), dumped] {
            #expect(!text.contains(Self.secret), "\(text)")
        }
    }

    @Test("a file without certificates is refused, by its name")
    func noFile() {
        for path in ["/nonexistent.pem", "/dev/null"] {
            #expect(throws: ServerTLS.Refusal.noCertificates(path: path)) {
                try ServerTLS(authorities: path)
            }
        }
    }
}
