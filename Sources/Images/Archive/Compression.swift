// SPDX-License-Identifier: Apache-2.0

/// How bytes are compressed, by how they begin. The raw value is the program that undoes it.
enum Compression: String {
    case gzip
    case zstd
    case xz
    case bzip2

    /// nil when the bytes begin like none of them.
    init?(_ bytes: some Collection<UInt8>) {
        let beginnings: [(Compression, [UInt8])] = [
            (.gzip, [0x1f, 0x8b]), (.zstd, [0x28, 0xb5, 0x2f, 0xfd]), (.xz, [0xfd, 0x37, 0x7a]),
            (.bzip2, [0x42, 0x5a, 0x68]),
        ]
        guard let found = beginnings.first(where: { bytes.starts(with: $0.1) }) else { return nil }
        self = found.0
    }
}
