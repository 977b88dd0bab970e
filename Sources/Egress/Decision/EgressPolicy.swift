// SPDX-License-Identifier: Apache-2.0
package import Policy

/// What one attempt may reach: decided on names before anything is resolved, and on addresses
/// before anything is connected.
package struct EgressPolicy: Sendable {
    package let rules: [EgressRule]
    /// What may be reached though it is not of the public Internet: sites that an operator runs
    /// beside the daemon, and tests.
    package let exceptions: [EgressException]

    package init(rules: [EgressRule], exceptions: [EgressException] = []) {
        self.rules = rules
        self.exceptions = exceptions
    }

    /// The rule that lets a connection through.
    package func rule(for host: HostName, port: UInt16) throws(EgressRefusal) -> EgressRule {
        guard port > 0 else { throw .malformed("port 0 cannot be connected to") }
        guard let rule = rules.first(where: { $0.allows(host, port: port) }) else {
            throw .noRule(host: host, port: port)
        }
        return rule
    }

    /// The addresses of `host` that may be connected to: all of them, or none.
    ///
    /// A name that has one address inside and one outside is up to something, or is misconfigured;
    /// which of the two answers would be taken must not depend on luck.
    package func check(_ addresses: [IPAddress], of host: HostName) throws(EgressRefusal) {
        for address in addresses {
            guard let what = address.unreachable, !isException(address, host) else { continue }
            throw .address(address, of: host, what)
        }
        if addresses.isEmpty { throw .unresolved(host, "it has no address") }
    }

    /// The addresses that the operator gave a name; nil when it is to be resolved.
    func given(_ name: String) -> [IPAddress]? {
        let addresses = exceptions.compactMap { exception -> IPAddress? in
            if case .name(name, let address) = exception { address } else { nil }
        }
        return addresses.isEmpty ? nil : addresses
    }

    private func isException(_ address: IPAddress, _ host: HostName) -> Bool {
        exceptions.contains { exception in
            switch exception {
            case .range(let range): range.contains(address)
            case .name(let name, address): host == .name(name)
            case .name: false
            }
        }
    }
}
