// SPDX-License-Identifier: Apache-2.0

/// A tar archive (POSIX.1-1988, "ustar") of a few files.
enum TarArchive {
    /// Executable files of root's, by their names.
    static func bytes(_ files: [(name: String, contents: [UInt8])]) -> [UInt8] {
        var archive: [UInt8] = []
        for (name, contents) in files {
            archive += header(name, size: contents.count)
            archive += contents
            archive += zeros(-contents.count & 511)
        }
        return archive + end
    }

    /// What ends an archive.
    static let end = zeros(1024)

    /// The block before a file's contents.
    static func header(_ name: String, size: Int) -> [UInt8] {
        var block = zeros(512)
        func put(_ text: String, at offset: Int) {
            for (index, byte) in text.utf8.enumerated() { block[offset + index] = byte }
        }
        func octal(_ value: Int, _ digits: Int) -> String {
            let text = String(value, radix: 8)
            return String(repeating: "0", count: digits - text.count) + text
        }
        put(name, at: 0)
        put(octal(0o755, 7), at: 100)
        put(octal(0, 7), at: 108)
        put(octal(0, 7), at: 116)
        put(octal(size, 11), at: 124)
        put(octal(1_700_000_000, 11), at: 136)
        put("0", at: 156)
        put("ustar\u{0}00", at: 257)
        // The sum is taken with blanks in its own place.
        put("        ", at: 148)
        let sum = block.reduce(0) { $0 + Int($1) }
        put(octal(sum, 6) + "\u{0} ", at: 148)
        return block
    }

    private static func zeros(_ count: Int) -> [UInt8] {
        [UInt8](repeating: 0, count: count)
    }
}
