// SPDX-License-Identifier: Apache-2.0

/// An IP address: its bytes, and nothing of how it was written.
package struct IPAddress: Sendable, Hashable {
    /// 4 or 16 bytes, in the network's order.
    package let bytes: [UInt8]

    package var isV6: Bool { bytes.count == 16 }

    /// An address of 4 or 16 bytes; nil for any other number.
    package init?(bytes: [UInt8]) {
        guard bytes.count == 4 || bytes.count == 16 else { return nil }
        self.bytes = bytes
    }

    /// Four decimal numbers without leading zeros, and nothing else.
    package init?(v4 text: some StringProtocol) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var bytes: [UInt8] = []
        for part in parts {
            guard (1...3).contains(part.utf8.count), part == "0" || !part.hasPrefix("0"),
                part.utf8.allSatisfy({ (48...57).contains($0) }), let byte = UInt8(part)
            else { return nil }
            bytes.append(byte)
        }
        self.bytes = bytes
    }

    /// Groups of hexadecimal digits (RFC 4291, section 2.2), without a zone.
    package init?(v6 text: some StringProtocol) {
        let halves = text.split(separator: "::", omittingEmptySubsequences: false)
        guard halves.count <= 2 else { return nil }
        var groups: [[UInt8]] = []
        for (index, half) in halves.enumerated() {
            let isLast = index == halves.count - 1
            guard let bytes = Self.groups(half, mayEndInV4: isLast) else { return nil }
            groups.append(bytes)
        }
        let known = groups.reduce(0) { $0 + $1.count }
        if halves.count == 1 {
            guard known == 16 else { return nil }
            bytes = groups[0]
        } else {
            guard known <= 14 else { return nil }
            bytes = groups[0] + [UInt8](repeating: 0, count: 16 - known) + groups[1]
        }
    }

    private static func groups(_ text: some StringProtocol, mayEndInV4: Bool) -> [UInt8]? {
        if text.isEmpty { return [] }
        var bytes: [UInt8] = []
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        for (index, part) in parts.enumerated() {
            if mayEndInV4, index == parts.count - 1, part.contains(".") {
                guard let v4 = IPAddress(v4: part) else { return nil }
                bytes += v4.bytes
                continue
            }
            guard (1...4).contains(part.utf8.count), !part.hasPrefix("+"), !part.hasPrefix("-"),
                let group = UInt16(part, radix: 16)
            else { return nil }
            bytes += [UInt8(group >> 8), UInt8(group & 0xff)]
        }
        return bytes.count <= 16 ? bytes : nil
    }

    /// Whether the first `length` bits are those of `prefix`.
    package func isIn(_ prefix: IPAddress, length: Int) -> Bool {
        guard bytes.count == prefix.bytes.count, (0...bytes.count * 8).contains(length) else {
            return false
        }
        for index in 0..<bytes.count {
            let bits = min(max(length - index * 8, 0), 8)
            let mask = UInt8(truncatingIfNeeded: 0xff00 >> bits)
            if bytes[index] & mask != prefix.bytes[index] & mask { return false }
        }
        return true
    }
}

extension IPAddress: CustomStringConvertible {
    package var description: String {
        guard isV6 else { return bytes.map(String.init).joined(separator: ".") }
        let groups = stride(from: 0, to: 16, by: 2)
            .map { UInt16(bytes[$0]) << 8 | UInt16(bytes[$0 + 1]) }
        let zeros = Self.longestZeros(groups)
        func text(_ part: ArraySlice<UInt16>) -> String {
            part.map { String($0, radix: 16) }.joined(separator: ":")
        }
        guard zeros.count > 1 else { return text(groups[...]) }
        return text(groups[..<zeros.lowerBound]) + "::" + text(groups[zeros.upperBound...])
    }

    private static func longestZeros(_ groups: [UInt16]) -> Range<Int> {
        var longest = 0..<0
        var start = 0
        for index in 0...groups.count where index == groups.count || groups[index] != 0 {
            if index - start > longest.count { longest = start..<index }
            start = index + 1
        }
        return longest
    }
}
