// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Crypto
internal import Glibc
package import Kernel
package import SystemPackage

/// Files kept by the digest of their content. The same content is kept once.
package struct ArtifactStore: Sendable {
    private let directory: Descriptor

    /// Opens the store, making its directory when it is missing.
    package init(path: String) throws(Errno) {
        _ = mkdir(path, 0o700)
        directory = try Descriptor.open(path, O_RDONLY | O_DIRECTORY)
    }

    /// The file with this digest (64 lower-case hex digits), open for reading.
    package func open(sha256: String) throws(Errno) -> Descriptor {
        guard sha256.utf8.count == 64, sha256.allSatisfy(\.isHexDigit) else {
            throw .noSuchFileOrDirectory
        }
        return try directory.open(sha256, O_RDONLY | O_NOFOLLOW)
    }

    /// Copies a file that came out of a sandbox. The descriptor is not trusted: only a regular
    /// file is read, and no more than `limit` bytes of it, whatever it says of its size; nil when
    /// it is something else or larger. The file has no name until it is whole.
    @concurrent
    package func keep(
        _ source: Descriptor,
        limit: UInt64
    ) async throws(Errno) -> (sha256: String, bytes: UInt64)? {
        var status = stat()
        _ = try kernel { fstat(source.number, &status) }
        guard status.st_mode & S_IFMT == S_IFREG, status.st_size >= 0,
            UInt64(status.st_size) <= limit
        else { return nil }
        let copy = try directory.open(".", clx_o_tmpfile() | O_WRONLY)
        guard let (digest, bytes) = try Self.copy(source, to: copy, limit: limit) else {
            return nil
        }
        try name(copy, digest)
        return (digest, bytes)
    }

    private static func copy(
        _ source: Descriptor,
        to copy: Descriptor,
        limit: UInt64
    ) throws(Errno) -> (String, UInt64)? {
        var hash = SHA256()
        var bytes: UInt64 = 0
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 16)
        defer { buffer.deallocate() }
        while true {
            let offset = off_t(bytes)
            let count = try kernel {
                pread(source.number, buffer.baseAddress, buffer.count, offset)
            }
            if count == 0 { break }
            bytes += UInt64(count)
            guard bytes <= limit else { return nil }
            let piece = UnsafeRawBufferPointer(rebasing: buffer[..<count])
            hash.update(bufferPointer: piece)
            try copy.writeAll(Array(piece))
        }
        return (hash.finalize().map(hexadecimal).joined(), bytes)
    }

    private static func hexadecimal(_ byte: UInt8) -> String {
        let text = String(byte, radix: 16)
        return text.count == 2 ? text : "0" + text
    }

    private func name(_ file: Descriptor, _ digest: String) throws(Errno) {
        do throws(Errno) {
            _ = try kernel {
                linkat(
                    AT_FDCWD,
                    "/proc/self/fd/\(file.number)",
                    directory.number,
                    digest,
                    AT_SYMLINK_FOLLOW
                )
            }
        } catch .fileExists {
            // The same content is there already; from now on it is as young as this.
            _ = utimensat(directory.number, digest, nil, AT_SYMLINK_NOFOLLOW)
        }
    }

    /// Removes files that nobody has kept for `age`; answers how many.
    ///
    /// A file's time is that of its last keeping, and whoever refers to it is no younger.
    @concurrent
    package func expire(olderThan age: Duration) async throws(Errno) -> Int {
        var now = timespec()
        // Cannot fail: the clock exists and the pointer is ours.
        _ = clock_gettime(CLOCK_REALTIME, &now)
        let oldest = now.tv_sec - Int(age / .seconds(1))
        // An own descriptor: reading a directory moves its offset.
        let listed = try directory.open(".", O_RDONLY | O_DIRECTORY)
        let copy = try kernel { dup(listed.number) }
        guard let listing = fdopendir(copy) else {
            close(copy)
            throw .notDirectory
        }
        defer { closedir(listing) }
        var removed = 0
        while let entry = readdir(listing) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            var status = stat()
            guard name.utf8.count == 64,
                fstatat(directory.number, name, &status, AT_SYMLINK_NOFOLLOW) == 0,
                status.st_mtim.tv_sec < oldest
            else { continue }
            if unlinkat(directory.number, name, 0) == 0 { removed += 1 }
        }
        return removed
    }
}
