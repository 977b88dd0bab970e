// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Policy

@Suite("What a request may open")
struct NetworkTests {
    private static func policy(_ network: String) throws -> Policy {
        let yaml = Fixture.yaml("network: none", "network: " + network)
        return try Policy(
            resolving: try Profile(yaml: yaml, file: "sample.yaml"),
            lists: SyscallLists(directory: Fixture.directory + "/syscalls")
        )
    }

    private static let askable = #"{allow: ["a.test:443"], ask: ["*.b.test:443"], bytes: 1MiB}"#

    @Test("without a network nothing can be asked for")
    func none() throws {
        let policy = try Self.policy("none")
        #expect(try policy.opened(to: []) == policy)
        #expect(throws: PolicyError.self) { try policy.opened(to: [try EgressRule("a.test:443")]) }
        #expect(policy.environment["HTTP_PROXY"] == nil)
    }

    @Test("what lies within what may be asked for is opened, and what does not is refused")
    func asking() throws {
        let policy = try Self.policy(Self.askable)
        let opened = try policy.opened(to: [
            try EgressRule("x.b.test:443"), try EgressRule("a.test:443"),
        ])
        #expect(opened.network.open?.allow.map(\.description) == ["a.test:443", "x.b.test:443"])
        for text in ["b.test:443", "x.b.test:80", "*:443", "x.b.test:*", "a.test:80"] {
            let rule = try EgressRule(text)
            #expect(throws: PolicyError.notAskable(rule, askable: [try EgressRule("*.b.test:443")]))
            {
                try policy.opened(to: [rule])
            }
        }
    }

    @Test("a job with something to reach is shown the way, unless its profile shows another")
    func environment() throws {
        let policy = try Self.policy(Self.askable)
        #expect(policy.environment["https_proxy"] == "http://127.0.0.1:3128")
        #expect(policy.environment["NO_PROXY"] == "localhost,127.0.0.1,::1")
        let closed = try Self.policy(#"{allow: [], ask: ["*:443"], bytes: 1MiB}"#)
        #expect(closed.environment["https_proxy"] == nil)
    }

    @Test("more rules than a run may have are refused")
    func many() throws {
        let policy = try Self.policy(#"{allow: [], ask: ["*:443"], bytes: 1MiB}"#)
        let rules = try (0...Network.rulesMax).map { try EgressRule("h\($0).test:443") }
        #expect(throws: PolicyError.tooManyRules(257)) { try policy.opened(to: rules) }
    }
}
