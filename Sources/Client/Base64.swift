// SPDX-License-Identifier: Apache-2.0

/// Base64 (RFC 4648, section 4): how bytes travel in the daemon's JSON.
package enum Base64 {
    private static let alphabet = Array(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    private static let values: [UInt8?] = {
        var values = [UInt8?](repeating: nil, count: 256)
        for (value, byte) in alphabet.enumerated() { values[Int(byte)] = UInt8(value) }
        return values
    }()

    package static func encode(_ bytes: some Collection<UInt8>) -> String {
        var out: [UInt8] = []
        out.reserveCapacity((bytes.count + 2) / 3 * 4)
        var pending: UInt32 = 0
        var count = 0
        for byte in bytes {
            pending = pending << 8 | UInt32(byte)
            count += 1
            if count == 3 {
                for shift in [18, 12, 6, 0] { out.append(alphabet[Int(pending >> shift & 63)]) }
                (pending, count) = (0, 0)
            }
        }
        if count > 0 {
            pending <<= UInt32(8 * (3 - count))
            for shift in [18, 12, 6, 0].prefix(count + 1) {
                out.append(alphabet[Int(pending >> shift & 63)])
            }
            out += Array(repeating: UInt8(ascii: "="), count: 3 - count)
        }
        return String(decoding: out, as: UTF8.self)
    }

    /// nil when the text is not base64.
    package static func decode(_ text: String) -> [UInt8]? {
        var out: [UInt8] = []
        out.reserveCapacity(text.utf8.count / 4 * 3)
        var pending: UInt32 = 0
        var bits = 0
        for byte in text.utf8 where byte != UInt8(ascii: "=") {
            guard let value = values[Int(byte)] else { return nil }
            pending = pending << 6 | UInt32(value)
            bits += 6
            if bits >= 8 {
                bits -= 8
                out.append(UInt8(truncatingIfNeeded: pending >> UInt32(bits)))
            }
        }
        return out
    }
}
