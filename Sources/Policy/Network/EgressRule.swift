// SPDX-License-Identifier: Apache-2.0

/// A line of an allow-list: `example.com:443`, `*.wikipedia.org:443`, `[2606:4700::1111]:443`,
/// `*:80`.
package struct EgressRule: Sendable, Hashable {
    /// Which hosts.
    package enum Hosts: Sendable, Hashable {
        case exactly(HostName)
        /// Every name below this one, itself left out.
        case below(String)
        /// Every name; no address.
        case everyName
    }

    package let hosts: Hosts
    /// Which port; nil is every one.
    package let port: UInt16?

    /// Why text is no rule.
    package struct Malformed: Error, Hashable, Sendable, CustomStringConvertible {
        package let text: String
        package let reason: String

        package var description: String {
            "'\(text)' is no host and port: \(reason) "
                + "(write example.com:443, '*.example.com:443' or [2001:db8::1]:443)"
        }
    }

    /// Reads a rule.
    package init(_ text: String) throws(Malformed) {
        func malformed(_ reason: String) -> Malformed { Malformed(text: text, reason: reason) }
        guard let colon = text.utf8.lastIndex(of: UInt8(ascii: ":")), !text.hasSuffix("]") else {
            throw malformed("the port is missing")
        }
        let portText = text[text.index(after: colon)...]
        if portText == "*" {
            port = nil
        } else {
            guard let number = UInt16(portText), number > 0, "\(number)" == portText else {
                throw malformed("'\(portText)' is no port")
            }
            port = number
        }
        let host = text[..<colon]
        do throws(HostName.Refusal) {
            if host == "*" {
                hosts = .everyName
            } else if host.hasPrefix("*.") {
                guard case .name(let name) = try HostName(host.dropFirst(2).utf8) else {
                    throw .oddAddress(String(host))
                }
                hosts = .below(name)
            } else {
                hosts = .exactly(try HostName(host.utf8))
            }
        } catch {
            throw malformed(error.description)
        }
    }

    /// Whether a connection to this host and port is within it.
    package func allows(_ host: HostName, port: UInt16) -> Bool {
        if let only = self.port, only != port { return false }
        switch (hosts, host) {
        case (.exactly(let wanted), _): return wanted == host
        case (.below(let name), .name(let asked)): return asked.hasSuffix("." + name)
        case (.everyName, .name): return true
        case (.below, .address), (.everyName, .address): return false
        }
    }

    /// Whether everything that `other` allows is within this one.
    package func covers(_ other: EgressRule) -> Bool {
        if let only = port, only != other.port { return false }
        switch (hosts, other.hosts) {
        case (.exactly, .exactly): return hosts == other.hosts
        case (.below(let name), .exactly(.name(let asked))): return asked.hasSuffix("." + name)
        case (.below(let name), .below(let asked)):
            return asked == name || asked.hasSuffix("." + name)
        case (.everyName, .exactly(.name)), (.everyName, .below), (.everyName, .everyName):
            return true
        default: return false
        }
    }
}

extension EgressRule: CustomStringConvertible {
    package var description: String {
        let place =
            switch hosts {
            case .exactly(let host): "\(host)"
            case .below(let name): "*.\(name)"
            case .everyName: "*"
            }
        return place + ":" + (port.map(String.init) ?? "*")
    }
}
