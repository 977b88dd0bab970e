// SPDX-License-Identifier: Apache-2.0
internal import Crypto

/// A SHA-256 that names content: `sha256:` and 64 hexadecimal digits.
package struct ImageDigest: Hashable, Sendable, CustomStringConvertible {
    /// The 64 digits, in lower case.
    package let hex: String

    /// Reads `sha256:…`, or `sha256-…` as a directory of a store is called.
    package init?(_ text: String) {
        guard text.hasPrefix("sha256:") || text.hasPrefix("sha256-") else { return nil }
        let hex = String(text.dropFirst(7))
        guard hex.utf8.count == 64, hex.utf8.allSatisfy(Self.isDigit) else { return nil }
        self.hex = hex
    }

    init(_ digest: SHA256.Digest) {
        hex = digest.map { byte in
            let digits = String(byte, radix: 16)
            return byte < 16 ? "0" + digits : digits
        }.joined()
    }

    /// The digest of `bytes`.
    init(ofBytes bytes: [UInt8]) {
        self.init(SHA256.hash(data: bytes))
    }

    package var description: String { "sha256:" + hex }

    /// Enough of it for a person to tell images apart.
    package var short: String { "sha256:" + hex.prefix(12) }

    /// What the image's directory is called.
    var directoryName: String { "sha256-" + hex }

    /// Whether `byte` is a hexadecimal digit in lower case.
    static func isDigit(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte)
    }
}
