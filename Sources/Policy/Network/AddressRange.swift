// SPDX-License-Identifier: Apache-2.0

/// A block of addresses: `10.0.0.0/8`.
package struct AddressRange: Sendable, Hashable, CustomStringConvertible {
    package let prefix: IPAddress
    package let length: Int

    /// Reads `ADDRESS/LENGTH`, or one address.
    package init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard let first = parts.first, parts.count <= 2,
            let prefix = IPAddress(v4: first) ?? IPAddress(v6: first)
        else { return nil }
        let bits = prefix.bytes.count * 8
        let length = parts.count == 1 ? bits : Int(parts[1])
        guard let length, (0...bits).contains(length), parts.count == 1 || "\(length)" == parts[1]
        else { return nil }
        self.prefix = prefix
        self.length = length
    }

    package func contains(_ address: IPAddress) -> Bool {
        address.isIn(prefix, length: length)
    }

    package var description: String { "\(prefix)/\(length)" }
}

extension IPAddress {
    /// Why nobody may be let out to this address; nil for one of the public Internet.
    ///
    /// The blocks that the IANA's special-purpose registries call not globally reachable (RFC 6890
    /// and its updates), and every IPv6 block that carries an IPv4 address in it: behind those, the
    /// address that counts is another one.
    package var unreachable: String? {
        Self.special.first { $0.range.contains(self) }?.what
    }

    private static let special: [(range: AddressRange, what: String)] = [
        ("0.0.0.0/8", "this network"), ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "a carrier's private"), ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "where a cloud keeps its metadata"),
        ("169.254.0.0/16", "link-local, where clouds keep their metadata"),
        ("172.16.0.0/12", "private"), ("192.0.0.0/24", "reserved for protocols"),
        ("192.0.2.0/24", "for documentation"), ("192.31.196.0/24", "reserved for protocols"),
        ("192.52.193.0/24", "reserved for protocols"), ("192.88.99.0/24", "a 6to4 relay"),
        ("192.168.0.0/16", "private"), ("192.175.48.0/24", "reserved for protocols"),
        ("198.18.0.0/15", "for benchmarks"), ("198.51.100.0/24", "for documentation"),
        ("203.0.113.0/24", "for documentation"), ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
        ("::/96", "unspecified, loopback, or IPv4 in IPv6"), ("::ffff:0:0/96", "IPv4 in IPv6"),
        ("::ffff:0:0:0/96", "IPv4 in IPv6"), ("64:ff9b::/96", "IPv4 in IPv6 (NAT64)"),
        ("64:ff9b:1::/48", "IPv4 in IPv6 (NAT64)"), ("100::/64", "discarded"),
        ("2001::/23", "reserved for protocols, Teredo among them"),
        ("2001:db8::/32", "for documentation"), ("2002::/16", "IPv4 in IPv6 (6to4)"),
        ("2620:4f:8000::/48", "reserved for protocols"), ("3fff::/20", "for documentation"),
        ("5f00::/16", "for segment routing"), ("fc00::/7", "private"),
        ("fe80::/10", "link-local"), ("fec0::/10", "site-local"), ("ff00::/8", "multicast"),
    ].map { text, what in
        guard let range = AddressRange(text) else { preconditionFailure("no range: \(text)") }
        return (range, what)
    }
}
