// SPDX-License-Identifier: Apache-2.0

/// A host as somebody names it to a proxy: a DNS name or an IP address, checked and in one form.
///
/// It is parsed once, from bytes that a job chose, and everything after that decides on this value.
/// Whatever another parser could take for another host is refused: no NUL, no trailing dot, no
/// address in odd notation, no letters beyond LDH (RFC 952, RFC 1123, RFC 5890).
package enum HostName: Sendable, Hashable {
    /// Lower-case labels with dots between them; international names in their `xn--` form.
    case name(String)
    case address(IPAddress)

    /// Why bytes are no host.
    package enum Refusal: Error, Hashable, Sendable {
        case empty
        case tooLong
        case trailingDot
        case emptyLabel
        case labelTooLong(String)
        case hyphen(String)
        case international
        case byte(UInt8)
        case oddAddress(String)

        package var description: String {
            switch self {
            case .empty: "it is empty"
            case .tooLong: "it has more than 253 bytes"
            case .trailingDot: "it ends in a dot: leave the dot out"
            case .emptyLabel: "two dots have nothing between them"
            case .labelTooLong(let label): "'\(label.prefix(16))…' has more than 63 bytes"
            case .hyphen(let label): "'\(label)' begins or ends with a hyphen"
            case .international: "it has letters beyond ASCII: write its 'xn--' form"
            case .byte(let byte): "byte 0x\(String(byte, radix: 16)) cannot be in a name"
            case .oddAddress(let text):
                "'\(text)' could be read as an address in odd notation: write it as a.b.c.d"
            }
        }
    }

    /// Reads a host; an IPv6 address stands in brackets.
    package init(_ bytes: some Collection<UInt8>) throws(Refusal) {
        guard let first = bytes.first else { throw .empty }
        guard bytes.count <= 253 else { throw .tooLong }
        if first == UInt8(ascii: "[") {
            let text = String(decoding: bytes.dropFirst().dropLast(), as: UTF8.self)
            guard Array(bytes).last == UInt8(ascii: "]"), let address = IPAddress(v6: text) else {
                throw .oddAddress(Self.shown(bytes))
            }
            self = .address(address)
            return
        }
        self = try Self.named(bytes)
    }

    private static func named(_ bytes: some Collection<UInt8>) throws(Refusal) -> HostName {
        for byte in bytes where !isNameByte(byte) {
            throw byte >= 0x80 ? .international : .byte(byte)
        }
        let text = String(decoding: bytes, as: UTF8.self).lowercased()
        if text.hasSuffix(".") { throw .trailingDot }
        let labels = text.split(separator: ".", omittingEmptySubsequences: false)
        for label in labels {
            if label.isEmpty { throw .emptyLabel }
            if label.utf8.count > 63 { throw .labelTooLong(String(label)) }
            if label.hasPrefix("-") || label.hasSuffix("-") { throw .hyphen(String(label)) }
        }
        // What ends in a number is an address to some resolvers, however it is written (the URL
        // standard's "ends in a number").
        guard let last = labels.last, isNumber(last) else { return .name(text) }
        guard let address = IPAddress(v4: text) else { throw .oddAddress(text) }
        return .address(address)
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."):
            true
        default: false
        }
    }

    private static func isNumber(_ label: Substring) -> Bool {
        if label.utf8.allSatisfy({ (48...57).contains($0) }) { return true }
        return label.hasPrefix("0x")
            && label.dropFirst(2).utf8
                .allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
    }

    private static func shown(_ bytes: some Collection<UInt8>) -> String {
        String(
            bytes.prefix(64).map { (32...126).contains($0) ? Character(UnicodeScalar($0)) : "?" }
        )
    }
}

extension HostName: CustomStringConvertible {
    /// As it stands in a URL.
    package var description: String {
        switch self {
        case .name(let name): name
        case .address(let address): address.isV6 ? "[\(address)]" : "\(address)"
        }
    }
}
