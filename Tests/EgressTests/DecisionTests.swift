// SPDX-License-Identifier: Apache-2.0
import Policy
import Testing

@testable import Egress

/// What a client names, and what comes of it under the rules below.
struct Asked: Sendable, CustomTestStringConvertible {
    enum Outcome: Sendable, Equatable {
        /// By this rule.
        case allowed(String)
        case noRule
        case malformed
        /// An address that nobody reaches, whatever the rules say.
        case unreachable
    }

    let text: String
    let outcome: Outcome
    var testDescription: String { "\(text.debugDescription) is \(outcome)" }

    static let rules = [
        "example.com:443", "*.wikipedia.org:443", "mixed.example:80", "any.example:*",
        "93.184.215.14:443", "[2606:4700::1111]:443", "xn--mnchen-3ya.example:443",
        "127.0.0.1:80", "10.0.0.1:80", "169.254.169.254:80", "[::1]:80", "[::ffff:10.0.0.1]:80",
        "[64:ff9b::a00:1]:80", "[fd00:ec2::254]:80", "0.0.0.0:80", "100.64.0.1:80",
        "192.168.1.1:80", "172.16.0.1:80", "224.0.0.1:80", "[fe80::1]:80", "[2002:a00:1::]:80",
        "[::]:80", "[::7f00:1]:80", "168.63.129.16:80", "198.18.0.1:80", "255.255.255.255:80",
    ]

    private static func all(_ outcome: Outcome, _ texts: [String]) -> [Asked] {
        texts.map { Asked(text: $0, outcome: outcome) }
    }

    static let table: [Asked] =
        [
            Asked(text: "example.com:443", outcome: .allowed("example.com:443")),
            Asked(text: "EXAMPLE.com:443", outcome: .allowed("example.com:443")),
            Asked(text: "en.wikipedia.org:443", outcome: .allowed("*.wikipedia.org:443")),
            Asked(text: "a.b.wikipedia.org:443", outcome: .allowed("*.wikipedia.org:443")),
            Asked(text: "mixed.example:80", outcome: .allowed("mixed.example:80")),
            Asked(text: "any.example:1", outcome: .allowed("any.example:*")),
            Asked(text: "any.example:65535", outcome: .allowed("any.example:*")),
            Asked(text: "93.184.215.14:443", outcome: .allowed("93.184.215.14:443")),
            Asked(text: "[2606:4700::1111]:443", outcome: .allowed("[2606:4700::1111]:443")),
            Asked(
                text: "[2606:4700:0:0:0:0:0:1111]:443",
                outcome: .allowed("[2606:4700::1111]:443")
            ),
            Asked(
                text: "xn--mnchen-3ya.example:443",
                outcome: .allowed("xn--mnchen-3ya.example:443")
            ),
        ]
        + all(
            .noRule,
            [
                "example.com:80", "example.com:8443", "www.example.com:443", "example.org:443",
                "notexample.com:443", "example.com.evil.test:443", "wikipedia.org:443",
                "evilwikipedia.org:443", "en.wikipedia.org:80", "wikipedia.org.evil.test:443",
                "localhost:80", "metadata:80", "93.184.215.15:443", "93.184.215.14:80",
                "[2606:4700::1112]:443", "a--b.example:443", "example:443", "1.example:443",
                "0x1.example:443", "xn--evil.example:443",
            ]
        )
        + all(
            .malformed,
            [
                "", ":443", "example.com", "example.com:", "example.com:0", "example.com:65536",
                "example.com:-1", "example.com:+443", "example.com:0443", "example.com:443 ",
                "example.com:4 3", "example.com.:443", "example..com:443", ".example.com:443",
                "-example.com:443", "example-.com:443", "exa_mple.com:443", "example.com\0:443",
                "example.com\0.wikipedia.org:443", "user@example.com:443", "example.com/:443",
                "example.com#.wikipedia.org:443", "exämple.com:443", "example。com:443",
                "ｅxample.com:443", "127.1:80", "0177.0.0.1:80", "0x7f.0.0.1:80", "0x7f000001:80",
                "2130706433:80", "127.0.0.01:80", "127.0.0.1.:80", "1.2.3.4.5:80", "256.1.1.1:80",
                "1.2.3:80", "[::1:80", "::1:80", "[::1%lo]:80", "[1::2::3]:80", "[:::1]:80",
                "[12345::]:80", "[::1]80", "example.com:443:443", "[example.com]:443",
                "%65xample.com:443", "example.com\r\nHost: evil:443", "example.com\t:443",
                String(repeating: "a", count: 64) + ".com:443",
                String(repeating: "a.", count: 130) + "com:443", "foo.0x10:80", "foo.1:80",
            ]
        )
        + all(
            .unreachable,
            [
                "127.0.0.1:80", "10.0.0.1:80", "169.254.169.254:80", "[::1]:80",
                "[::ffff:10.0.0.1]:80", "[::ffff:a00:1]:80", "[64:ff9b::10.0.0.1]:80",
                "[fd00:ec2::254]:80", "0.0.0.0:80", "100.64.0.1:80", "192.168.1.1:80",
                "172.16.0.1:80", "224.0.0.1:80", "[fe80::1]:80", "[2002:a00:1::]:80", "[::]:80",
                "[::127.0.0.1]:80", "168.63.129.16:80", "198.18.0.1:80", "255.255.255.255:80",
            ]
        )
}

@Suite("What a sandbox may reach")
struct DecisionTests {
    private static func policy(_ exceptions: [EgressException] = []) throws -> EgressPolicy {
        EgressPolicy(
            rules: try Asked.rules.map { try EgressRule($0) },
            exceptions: exceptions
        )
    }

    private static func outcome(_ asked: Asked) throws -> Asked.Outcome {
        let policy = try policy()
        do throws(EgressRefusal) {
            let place = try Authority(asked.text.utf8, defaultPort: nil)
            let rule = try policy.rule(for: place.host, port: place.port)
            if case .address(let address) = place.host {
                try policy.check([address], of: place.host)
            }
            return .allowed("\(rule)")
        } catch {
            switch error {
            case .malformed: return .malformed
            case .noRule: return .noRule
            default: return .unreachable
            }
        }
    }

    @Test("each host has its decision", arguments: Asked.table)
    func decision(_ asked: Asked) throws {
        #expect(try Self.outcome(asked) == asked.outcome)
    }

    @Test("a name that stands for an address inside is refused, whatever else it stands for")
    func rebinding() throws {
        let policy = try Self.policy()
        let host = try HostName("example.com".utf8)
        let outside = try #require(IPAddress(v4: "93.184.215.14"))
        let inside = try #require(IPAddress(v4: "127.0.0.1"))
        try policy.check([outside], of: host)
        #expect(throws: EgressRefusal.self) { try policy.check([outside, inside], of: host) }
        #expect(throws: EgressRefusal.self) { try policy.check([], of: host) }
    }

    @Test("an operator's exception is for its addresses, and for no others")
    func exception() throws {
        let range = try #require(EgressException("127.0.0.0/8"))
        let name = try #require(EgressException("site.test=10.1.2.3"))
        let policy = try Self.policy([range, name])
        let host = try HostName("127.0.0.1".utf8)
        try policy.check([try #require(IPAddress(v4: "127.0.0.1"))], of: host)
        #expect(throws: EgressRefusal.self) {
            try policy.check([try #require(IPAddress(v6: "::1"))], of: host)
        }
        #expect(throws: EgressRefusal.self) {
            try policy.check([try #require(IPAddress(v4: "10.0.0.1"))], of: host)
        }
        let given = try #require(policy.given("site.test"))
        try policy.check(given, of: .name("site.test"))
        #expect(throws: EgressRefusal.self) { try policy.check(given, of: host) }
        #expect(policy.given("other.test") == nil)
        #expect(EgressException("127.0.0.1=10.1.2.3") == nil)
        #expect(EgressException("site.test=") == nil)
    }

    @Test("a refusal names the place and the rule that would allow it")
    func words() throws {
        let policy = try Self.policy()
        let host = try HostName("other.example".utf8)
        do throws(EgressRefusal) {
            _ = try policy.rule(for: host, port: 443)
            Issue.record("it was allowed")
        } catch {
            #expect(error.description.contains("'--allow other.example:443'"))
        }
    }

    @Test(
        "a rule covers what lies within it, and nothing else",
        arguments: [
            ("*:443", "example.com:443", true), ("*:443", "*.example.com:443", true),
            ("*:443", "example.com:80", false), ("*:*", "*:443", true), ("*:443", "*:*", false),
            ("*:443", "93.184.215.14:443", false), ("*.a.example:1", "b.a.example:1", true),
            ("*.a.example:1", "a.example:1", false), ("*.a.example:1", "*.b.a.example:1", true),
            ("*.a.example:1", "*.ba.example:1", false), ("a.example:1", "*.a.example:1", false),
            ("a.example:*", "a.example:9", true), ("*.a.example:1", "*:1", false),
        ]
    )
    func covers(wide: String, narrow: String, expected: Bool) throws {
        #expect(try EgressRule(wide).covers(try EgressRule(narrow)) == expected)
    }

    @Test(
        "what is no rule is refused with its reason",
        arguments: [
            "", "example.com", "example.com:", "example.com:0", "*example.com:443", "*.:443",
            "a.*.com:443", "*.10.0.0.1:443", "https://example.com:443", "example.com:https",
            "[::1]", "exa mple.com:443", "*.*.com:443", "example.com:443-445",
        ]
    )
    func malformed(text: String) {
        #expect(throws: EgressRule.Malformed.self) { try EgressRule(text) }
    }

    @Test("an address is written in one form, and read back from it")
    func addresses() throws {
        for text in [
            "::", "::1", "1::", "2001:db8::1", "1:2:3:4:5:6:7:8", "1::3:4:0:0:8", "fe80::1:0:0:1",
        ] {
            #expect("\(try #require(IPAddress(v6: text)))" == text)
        }
        let mapped = try #require(IPAddress(v6: "::ffff:192.0.2.1"))
        #expect("\(mapped)" == "::ffff:c000:201")
    }

    @Test("random bytes never trap, and what is accepted is what it says")
    func fuzz() throws {
        var random = SystemRandomNumberGenerator()
        let pieces = Array("aZ09-.:[]%@#/\\ \0\r\n*xX_é".utf8)
        for _ in 0..<200_000 {
            let bytes = (0..<Int.random(in: 0...24, using: &random)).map { _ in
                pieces.randomElement(using: &random) ?? 0
            }
            guard let host = try? HostName(bytes) else { continue }
            // In one form: reading what it says gives the same again.
            #expect(try HostName("\(host)".utf8) == host)
            if case .name(let name) = host {
                #expect(
                    name.utf8.allSatisfy {
                        (97...122).contains($0) || (48...57).contains($0) || $0 == 45 || $0 == 46
                    }
                )
            }
        }
    }
}
