// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc
package import SystemPackage

/// The small files through which /proc, /sys and cgroups speak: written and read whole.
package enum KernelFile {
    /// None of the files read here is larger.
    private static let limit = 1 << 20

    /// The file's text. Invalid UTF-8 is repaired, so nothing read here may name a file.
    package static func read(_ path: String) throws(Errno) -> String {
        let file = try Descriptor.open(path, O_RDONLY)
        return String(decoding: try file.readAll(limit: limit), as: UTF8.self)
    }

    /// The file's bytes, read with as few calls as it takes: for what is read at every run.
    package static func bytes(_ path: String) throws(Errno) -> [UInt8] {
        let file = try Descriptor.open(path, O_RDONLY)
        var failure: Errno?
        var size = 16 << 10
        while true {
            let bytes = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
                let raw = UnsafeMutableRawBufferPointer(buffer)
                do throws(Errno) {
                    while count < raw.count {
                        let got = try file.read(
                            into: UnsafeMutableRawBufferPointer(rebasing: raw[count...])
                        )
                        if got == 0 { return }
                        count += got
                    }
                } catch {
                    failure = error
                }
            }
            if let failure { throw failure }
            if bytes.count < size || size >= limit { return bytes }
            size *= 4
            _ = try kernel { lseek(file.number, 0, SEEK_SET) }
        }
    }

    /// Whether the bytes contain this text.
    package static func contains(_ bytes: [UInt8], _ text: String) -> Bool {
        var text = text
        return text.withUTF8 { needle in
            bytes.withUnsafeBytes { bytes in
                guard let base = bytes.baseAddress, let start = needle.baseAddress else {
                    return needle.isEmpty
                }
                return clx_contains(base, bytes.count, start, needle.count) != 0
            }
        }
    }

    /// Writes `text` with one write, as these files want it.
    package static func write(_ path: String, _ text: String) throws(Errno) {
        let file = try Descriptor.open(path, O_WRONLY)
        _ = try file.write(Array(text.utf8)[...])
    }

    /// The number that a file of one number holds; nil for "max" and for anything else.
    package static func number(_ path: String) throws(Errno) -> UInt64? {
        UInt64(try read(path).prefix { $0 != "\n" })
    }

    /// The target of a link such as /proc/PID/ns/net: `net:[4026531840]`.
    package static func link(_ path: String) throws(Errno) -> String {
        var bytes = [CChar](repeating: 0, count: 256)
        let length = try kernel { readlink(path, &bytes, bytes.count) }
        return String(decoding: bytes.prefix(length).map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// The number after `key` in a file of `key value` lines.
    package static func counter(_ key: String, in text: String) -> UInt64? {
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ", maxSplits: 1)
            if words.count == 2, words[0] == key { return UInt64(words[1]) }
        }
        return nil
    }
}
