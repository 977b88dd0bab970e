// SPDX-License-Identifier: Apache-2.0
internal import Client
internal import Glibc
internal import Kernel
internal import SystemPackage

/// A regular file that a command has for its standard output, read when the command has ended.
struct OutputFile {
    private static let pieceBytes = 64 << 10

    /// Where the command begins to write.
    private let start: off_t

    /// Descriptor 1; nil when it has no position.
    init?() {
        start = lseek(1, 0, SEEK_CUR)
        if start < 0 { return nil }
    }

    /// What was written since; nil when that cannot be told. Without a digest when it is more than
    /// `limit` bytes.
    func written(hashing limit: Int) -> Observation.Stream? {
        let end = lseek(1, 0, SEEK_CUR)
        var status = stat()
        // Otherwise somebody else writes to it, or the command has opened it once more.
        guard end >= start, fstat(1, &status) == 0, status.st_size == end else { return nil }
        let count = Int(end - start)
        guard count <= limit else { return Observation.Stream(bytes: count, sha256: nil) }
        // A description of its own: the place in the file is the caller's.
        guard let file = try? Descriptor.open("/proc/self/fd/1", O_RDONLY | O_NONBLOCK),
            lseek(file.number, start, SEEK_SET) == start, let digest = Self.digest(file, count)
        else { return nil }
        return Observation.Stream(bytes: count, sha256: digest)
    }

    /// Of the next `count` bytes; nil when there are not as many.
    private static func digest(_ file: Descriptor, _ count: Int) -> String? {
        var hash = SHA256()
        var left = count
        let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: pieceBytes, alignment: 16)
        defer { piece.deallocate() }
        while left > 0 {
            guard let got = try? file.read(into: piece), got > 0 else { return nil }
            hash.update(UnsafeRawBufferPointer(rebasing: piece[..<min(got, left)]))
            left -= min(got, left)
        }
        return SHA256.hex(hash.finish())
    }
}
