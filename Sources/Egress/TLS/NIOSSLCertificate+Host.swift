// SPDX-License-Identifier: Apache-2.0
internal import NIOSSL
internal import Policy

extension NIOSSLCertificate {
    /// Whether it was made for this host, by its alternative names alone (RFC 9525, section 6).
    ///
    /// swift-nio-ssl also takes one for the address that a name stands for, or for a part of a label.
    /// Who can bend a name's resolution has an address, and can have a certificate for it; what was
    /// asked for is the name.
    func isFor(_ host: HostName) -> Bool {
        _subjectAlternativeNames().contains { entry in
            switch (host, entry.nameType) {
            case (.name(let name), .dnsName):
                Self.covers(String(decoding: entry.contents, as: UTF8.self).lowercased(), name)
            case (.address(let address), .ipAddress): Array(entry.contents) == address.bytes
            default: false
            }
        }
    }

    /// Whether a certificate's name is this one, or stands for it with `*` as its whole first label.
    static func covers(_ pattern: String, _ name: String) -> Bool {
        guard pattern.hasPrefix("*.") else { return pattern == name }
        let rest = pattern.dropFirst(2)
        guard rest.contains("."), let dot = name.firstIndex(of: ".") else { return false }
        return name[name.index(after: dot)...] == rest
    }
}
