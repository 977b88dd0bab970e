// SPDX-License-Identifier: Apache-2.0
import NIOConcurrencyHelpers
import NIOCore
import NIOHTTP1
import NIOPosix
import Policy
import Testing

@testable import Egress

@Suite("The proxy of a sandbox", .serialized, .timeLimit(.minutes(2)))
struct ProxyTests {
    private static func get(_ site: TestSite, _ path: String, host: String = "site.test") -> String
    {
        "GET http://\(host):\(site.port)\(path) HTTP/1.1\r\nHost: other.test\r\n\r\n"
    }

    private static func connect(_ site: TestSite, host: String = "site.test") -> String {
        "CONNECT \(host):\(site.port) HTTP/1.1\r\nHost: \(host)\r\n\r\n"
    }

    private static func socks(_ site: TestSite, _ address: [UInt8]) -> [UInt8] {
        let port = UInt16(truncatingIfNeeded: site.port)
        return [5, 1, 0, 5, 1, 0] + address + [UInt8(port >> 8), UInt8(port & 0xff)]
    }

    private static let request =
        "GET /tunnel HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n"

    @Test("a plain request goes to the host of its URL, as that host's own")
    func plain() async throws {
        try await TestSite.with { site in
            let answer = try await site.talk(
                "POST http://site.test:\(site.port)/a?b=c HTTP/1.1\r\nHost: evil.test\r\n"
                    + "Proxy-Authorization: Basic eA==\r\nConnection: x-secret\r\nX-Secret: 1\r\n"
                    + "Upgrade: websocket\r\nContent-Length: 3\r\n\r\nabc"
            )
            #expect(answer.hasPrefix("HTTP/1.1 200"), "\(answer)")
            #expect(answer.contains("hello /a?b=c 3"), "\(answer)")
            let head = try #require(site.seen.withLockedValue { $0.last })
            #expect(head.headers["host"] == ["site.test:\(site.port)"])
            for name in ["proxy-authorization", "x-secret", "upgrade"] {
                #expect(head.headers[name].isEmpty, "\(name)")
            }
            let line = try #require(site.ledger.lines.first)
            #expect(line.rule == "site.test:*" && line.count == 1 && line.reason == nil)
            #expect(line.sentBytes > 3 && line.receivedBytes > 10)
        }
    }

    @Test("CONNECT makes a tunnel, and what was sent behind it goes through")
    func tunnel() async throws {
        try await TestSite.with { site in
            let answer = try await site.talk(Self.connect(site) + Self.request)
            #expect(answer.hasPrefix("HTTP/1.1 200 Connection established\r\n\r\n"), "\(answer)")
            #expect(answer.contains("hello /tunnel 0"), "\(answer)")
            #expect(site.ledger.lines.first?.sentBytes == UInt64(Self.request.utf8.count))
        }
    }

    @Test("SOCKS 5 connects by name and by address, and to nothing else")
    func socks() async throws {
        try await TestSite.with(rules: ["site.test:*", "127.0.0.1:*"]) { site in
            let name = Array("site.test".utf8)
            for address in [[3, UInt8(name.count)] + name, [1, 127, 0, 0, 1]] {
                let bytes = Self.socks(site, address) + Array(Self.request.utf8)
                let answer = try await site.talk(bytes)
                #expect(answer.starts(with: [5, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0]), "\(answer)")
                #expect(String(decoding: answer, as: UTF8.self).contains("hello /tunnel"))
            }
        }
    }

    @Test("SOCKS 5 that is denied, or asks for what there is not, is told by its code")
    func socksRefused() async throws {
        try await TestSite.with { site in
            let evil = Array("evil.test".utf8)
            let port: [UInt8] = [0, 80]
            let cases: [(request: [UInt8], code: UInt8)] = [
                ([5, 1, 0, 3, UInt8(evil.count)] + evil + port, 2),
                ([5, 1, 0, 1, 10, 0, 0, 1] + port, 2),
                ([5, 1, 0, 4] + [UInt8](repeating: 0, count: 15) + [1] + port, 2),
                ([5, 1, 0, 3, 9] + Array("site\0test".utf8) + port, 2),
                ([5, 2, 0, 1, 127, 0, 0, 1] + port, 7), ([5, 3, 0, 1, 127, 0, 0, 1] + port, 7),
                ([5, 1, 0, 2, 0] + port, 8), ([4, 1, 0, 1, 0] + port, 1),
                ([5, 1, 9, 1, 127, 0, 0, 1] + port, 1),
            ]
            for (request, code) in cases {
                let answer = try await site.talk([5, 1, 0] + request)
                #expect(answer == [5, 0, 5, code, 0, 1, 0, 0, 0, 0, 0, 0], "\(request)")
            }
            #expect(try await site.talk([5, 1, 2]) == [5, 255])
            #expect(site.seen.withLockedValue { $0.isEmpty })
        }
    }

    @Test("what no rule allows gets a 403 that names the host and the rule, and goes nowhere")
    func denied() async throws {
        try await TestSite.with(names: ["site.test": ["127.0.0.1"], "evil.test": ["127.0.0.1"]]) {
            site in
            for text in [
                Self.get(site, "/", host: "evil.test"), Self.connect(site, host: "evil.test"),
            ] {
                let answer = try await site.talk(text)
                #expect(answer.hasPrefix("HTTP/1.1 403 Forbidden\r\n"), "\(answer)")
                #expect(answer.contains("--allow evil.test:\(site.port)"), "\(answer)")
            }
            #expect(site.seen.withLockedValue { $0.isEmpty })
            let line = try #require(site.ledger.lines.first)
            #expect(
                line.count == 2 && line.rule == nil && line.reason?.contains("evil.test") == true
            )
        }
    }

    @Test("a name that stands for an address inside is refused, also beside one outside")
    func rebinding() async throws {
        try await TestSite.with(
            rules: ["site.test:*", "both.test:*", "10.0.0.1:*"],
            names: ["site.test": ["127.0.0.1"], "both.test": ["93.184.215.14", "127.0.0.1"]],
            exceptions: []
        ) { site in
            for host in ["site.test", "both.test", "10.0.0.1", "[::1]"] {
                let answer = try await site.talk(Self.connect(site, host: host))
                #expect(answer.hasPrefix("HTTP/1.1 403"), "\(host): \(answer)")
            }
            #expect(site.seen.withLockedValue { $0.isEmpty })
        }
    }

    @Test("what cannot be found or reached is a 502, and says which")
    func unreachable() async throws {
        try await TestSite.with(rules: ["*:*", "127.0.0.1:1"]) { site in
            let unknown = try await site.talk(Self.get(site, "/", host: "unknown.test"))
            #expect(unknown.hasPrefix("HTTP/1.1 502"), "\(unknown)")
            #expect(unknown.contains("unknown.test cannot be resolved"), "\(unknown)")
            let closed = try await site.talk("CONNECT 127.0.0.1:1 HTTP/1.1\r\n\r\n")
            #expect(closed.hasPrefix("HTTP/1.1 502"), "\(closed)")
            #expect(closed.contains("Connection refused"), "\(closed)")
        }
    }

    @Test(
        "what is no request to a proxy is refused, and goes nowhere",
        arguments: [
            "GET / HTTP/1.1\r\nHost: site.test\r\n\r\n",
            "GET https://site.test/ HTTP/1.1\r\n\r\n",
            "GET file:///etc/passwd HTTP/1.1\r\n\r\n",
            "GET http:///x HTTP/1.1\r\n\r\n",
            "GET http://user@site.test/ HTTP/1.1\r\n\r\n",
            "GET http://site.test@evil.test/ HTTP/1.1\r\n\r\n",
            "GET http://site.test./ HTTP/1.1\r\n\r\n",
            "CONNECT site.test HTTP/1.1\r\n\r\n",
            "CONNECT http://site.test:80/ HTTP/1.1\r\n\r\n",
            "CONNECT site.test:80:80 HTTP/1.1\r\n\r\n",
            "OPTIONS * HTTP/1.1\r\nHost: site.test\r\n\r\n",
            "NONSENSE\r\n\r\n",
            "POST http://site.test/ HTTP/1.1\r\nContent-Length: 3\r\n"
                + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "\u{16}\u{3}\u{1}TLS without a proxy",
            "\u{4}\u{1}SOCKS 4",
        ]
    )
    func garbage(text: String) async throws {
        try await TestSite.with(rules: ["site.test:*"]) { site in
            let answer = try await site.talk(text)
            #expect(answer.isEmpty || answer.hasPrefix("HTTP/1.1 4"), "\(answer)")
            #expect(site.seen.withLockedValue { $0.isEmpty })
        }
    }

    @Test("a large answer comes whole, through both ways, and is counted")
    func large() async throws {
        let bytes = 20_000_000
        try await TestSite.with { site in
            let plain = try await site.talk(Array(Self.get(site, "/bytes/\(bytes)").utf8))
            #expect(plain.count > bytes)
            let tunnel = try await site.talk(
                Self.connect(site)
                    + "GET /bytes/\(bytes) HTTP/1.1\r\nHost: s\r\nConnection: close\r\n\r\n"
            )
            #expect(tunnel.utf8.count > bytes)
            #expect(site.ledger.bytes > UInt64(2 * bytes))
        }
    }

    @Test("an answer without an end stops at the cap, and nothing goes through after it")
    func endless() async throws {
        try await TestSite.with(limitBytes: 5_000_000) { site in
            let answer = try await site.talk(Array(Self.get(site, "/endless").utf8))
            #expect((1_000_000...6_000_000).contains(answer.count), "\(answer.count)")
            let after = try await site.talk(Self.get(site, "/"))
            #expect(after.hasPrefix("HTTP/1.1 403") && after.contains("used up"), "\(after)")
            let lines = site.ledger.lines
            #expect(lines.count == 2 && lines[0].count == 1 && lines[0].reason == nil, "\(lines)")
            #expect(lines[1].count == 2 && lines[1].reason?.contains("used up") == true, "\(lines)")
        }
    }

    @Test("a header is put in for its host and port alone, and replaces the job's")
    func headers() async throws {
        try await TestSite.with(
            names: ["site.test": ["127.0.0.1"]],
            headers: { port in
                let place = Authority(host: .name("site.test"), port: UInt16(port))
                let other = Authority(host: .name("other.test"), port: UInt16(port))
                return [
                    HeaderRule(place: place, name: "Authorization", value: "Bearer ours"),
                    HeaderRule(place: other, name: "X-Other", value: "no"),
                ]
            }
        ) { site in
            _ = try await site.talk(
                "GET http://site.test:\(site.port)/ HTTP/1.1\r\nAuthorization: theirs\r\n\r\n"
            )
            let head = try #require(site.seen.withLockedValue { $0.last })
            #expect(head.headers["authorization"] == ["Bearer ours"])
            #expect(head.headers["x-other"].isEmpty)
        }
    }

    @Test("more connections than there may be are closed, and the others go on")
    func crowd() async throws {
        try await TestSite.with { site in
            var channels: [any Channel] = []
            for _ in 0..<(EgressProxy.connectionsMax + 50) {
                channels.append(
                    try await ClientBootstrap(group: TestSite.group)
                        .connect(host: "127.0.0.1", port: site.proxyPort).get()
                )
            }
            // Somebody of them gets through once the rest is gone.
            for channel in channels { try? await channel.close() }
            var answer = ""
            for _ in 0..<100 where !answer.hasPrefix("HTTP/1.1 200") {
                answer = try await site.talk(Self.get(site, "/"))
            }
            #expect(answer.hasPrefix("HTTP/1.1 200"), "\(answer)")
            #expect(site.ledger.lines.contains { $0.reason?.contains("connections") == true })
        }
    }

    @Test("the account is bounded, whatever is asked for")
    func account() async throws {
        let ledger = EgressLedger(limitBytes: 100)
        for number in 0..<10_000 {
            let host = try HostName("h\(number).test".utf8)
            ledger.refused(Authority(host: host, port: 80), .noRule(host: host, port: 80))
        }
        #expect(ledger.lines.count <= EgressLedger.linesMax)
        #expect(ledger.lines.reduce(0) { $0 + $1.count } == 10_000)
    }

    @Test("random bytes never reach a server, and never stop the proxy")
    func fuzz() async throws {
        try await TestSite.with { site in
            var random = SystemRandomNumberGenerator()
            let seeds = [
                Array(Self.get(site, "/").utf8), Array(Self.connect(site).utf8),
                [5, 1, 0, 5, 1, 0, 3, 9] + Array("site.test".utf8) + [0, 80],
            ]
            for _ in 0..<300 {
                var bytes = seeds.randomElement(using: &random) ?? []
                for _ in 0..<Int.random(in: 1...8, using: &random) {
                    bytes[Int.random(in: 0..<bytes.count, using: &random)] =
                        .random(in: 0...255, using: &random)
                }
                _ = try await site.talk(bytes, patience: .milliseconds(30))
            }
            let answer = try await site.talk(Self.get(site, "/after"))
            #expect(answer.contains("hello /after"), "\(answer)")
        }
    }

    @Test("stopped, it has closed every connection")
    func stop() async throws {
        try await TestSite.with { site in
            async let answer = site.talk(Array(Self.get(site, "/endless").utf8))
            while site.ledger.bytes < 1_000_000 { await Task.yield() }
            await site.proxy.stop()
            let bytes = try await answer
            #expect(!bytes.isEmpty)
        }
    }
}
