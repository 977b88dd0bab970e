// SPDX-License-Identifier: Apache-2.0

/// What a job may reach over the network.
package enum Network: Sendable, Hashable {
    /// Its own loopback, and nothing else.
    case none
    /// Its own loopback, and through the proxy there what an allow-list says.
    case egress(Egress)

    /// An allow-list, what a request may add to it, and how much may go through.
    package struct Egress: Sendable, Hashable {
        /// What the job may reach.
        package internal(set) var allow: [EgressRule]
        /// What a request may open in addition: each thing that it asks for lies within one of these.
        package let ask: [EgressRule]
        /// Bytes sent and received together.
        package let bytes: UInt64
    }

    /// The most rules that a run may have.
    package static let rulesMax = 256

    /// Where jobs find the proxy on their own loopback, when there is one.
    package static let proxyPort: UInt16 = 3128

    /// The list of a job that has a proxy; nil when there is nothing that it could reach.
    package var open: Egress? {
        guard case .egress(let egress) = self, !egress.allow.isEmpty else { return nil }
        return egress
    }

    /// The same with more to reach. Throws when the profile does not let a request ask for it.
    func opened(to rules: [EgressRule]) throws(PolicyError) -> Network {
        guard !rules.isEmpty else { return self }
        guard case .egress(var egress) = self else { throw .noNetwork(rules[0]) }
        for rule in rules where !(egress.allow + egress.ask).contains(where: { $0.covers(rule) }) {
            throw .notAskable(rule, askable: egress.ask)
        }
        egress.allow += rules.filter { !egress.allow.contains($0) }
        guard egress.allow.count <= Self.rulesMax else { throw .tooManyRules(egress.allow.count) }
        return .egress(egress)
    }

    /// What programs look at to find the proxy.
    var environment: [String: String] {
        guard open != nil else { return [:] }
        let http = "http://127.0.0.1:\(Self.proxyPort)"
        var variables: [String: String] = [:]
        for (name, value) in [
            ("http_proxy", http), ("https_proxy", http),
            ("all_proxy", "socks5h://127.0.0.1:\(Self.proxyPort)"),
            ("no_proxy", "localhost,127.0.0.1,::1"),
        ] {
            variables[name] = value
            variables[name.uppercased()] = value
        }
        return variables
    }
}

extension Entry {
    /// Reads `none`, or `{allow: […], ask: […], bytes: 512MiB}`.
    func network() throws(ProfileError) -> Network {
        if isText {
            let text = try text()
            guard text == "none" else {
                throw refusal("\"\(text)\" is no network", mend: "write none, or a section")
            }
            return .none
        }
        let section = try section(["allow", "ask", "bytes"])
        let bytes = try section.required("bytes")
        let text = try bytes.text()
        let count: UInt64
        do throws(MalformedQuantity) { count = try ByteSize.value(of: text) } catch {
            throw bytes.refusal("\"\(text)\" \(error.problem)", mend: error.mend)
        }
        guard (1...(1 << 50)).contains(count) else {
            throw bytes.refusal("\"\(text)\" is no cap", mend: "write 1B to 1024TiB")
        }
        return .egress(
            Network.Egress(
                allow: try section.required("allow").rules(),
                ask: try section.required("ask").rules(),
                bytes: count
            )
        )
    }

    private func rules() throws(ProfileError) -> [EgressRule] {
        var rules: [EgressRule] = []
        for entry in try list() {
            let text = try entry.text()
            do throws(EgressRule.Malformed) { rules.append(try EgressRule(text)) } catch {
                throw entry.refusal(error.reason, mend: "write example.com:443 or \"*:443\"")
            }
        }
        guard rules.count <= Network.rulesMax else {
            throw refusal("has more than \(Network.rulesMax) lines", mend: "shorten it")
        }
        return rules
    }
}
