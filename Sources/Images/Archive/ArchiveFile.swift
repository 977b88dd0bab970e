// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import SystemPackage

/// A file of an archive's bytes, read here and there; nothing in it is believed.
final class ArchiveFile: Sendable {
    private let descriptor: Descriptor

    /// The archive that it is, or comes from.
    private let archive: FilePath

    /// Which part of the archive it is, for people; nil for all of it.
    private let part: String?

    /// How many bytes it has.
    let bytes: Int

    /// Takes over a file; refuses what is none.
    init(
        _ descriptor: consuming Descriptor,
        of archive: FilePath,
        part: String? = nil
    ) throws(ImageError) {
        var status = stat()
        let fd = descriptor.fd
        try system("look at", archive) { _ in fstat(fd, &status) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw .archive(archive, problem: "it is no regular file: write the archive into one")
        }
        self.descriptor = descriptor
        self.archive = archive
        self.part = part
        bytes = Int(status.st_size)
    }

    /// The refusal of what is in it.
    func refusal(_ problem: String) -> ImageError {
        .archive(archive, problem: (part.map { $0 + ": " } ?? "") + problem)
    }

    /// Reads exactly so many bytes; it is an error when there are fewer.
    func read(at offset: Int, count: Int) throws(ImageError) -> [UInt8] {
        var all = [UInt8](repeating: 0, count: count)
        var done = 0
        while done < count {
            let fd = descriptor.fd
            let got = try system("read", archive) { _ in
                all.withUnsafeMutableBytes {
                    pread($0[done...], from: fd, at: offset + done)
                }
            }
            guard got > 0 else { throw refusal("it was cut while it was read") }
            done += got
        }
        return all
    }

    /// Hands on so many bytes from `offset` on, piece by piece.
    func read(
        at offset: Int,
        count: Int,
        _ body: ([UInt8]) throws(ImageError) -> Void
    ) throws(ImageError) {
        var done = 0
        while done < count {
            let piece = try read(at: offset + done, count: min(count - done, 1 << 18))
            done += piece.count
            try body(piece)
        }
    }
}

/// pread(2) into a piece of a buffer.
private func pread(_ piece: Slice<UnsafeMutableRawBufferPointer>, from fd: Int32, at: Int) -> Int {
    let buffer = UnsafeMutableRawBufferPointer(rebasing: piece)
    return Glibc.pread(fd, buffer.baseAddress, buffer.count, off_t(at))
}

/// Bytes from outside on one line of plain characters, shortened, for people to read.
func shown(_ bytes: some Sequence<UInt8>, limit: Int = 200) -> String {
    let text = String(decoding: Array(bytes.prefix(limit + 1)), as: UTF8.self)
    let scalars = text.unicodeScalars.map { scalar in
        let isPlain = scalar.value >= 0x20 && !(0x7f...0x9f).contains(scalar.value)
        return isPlain ? String(scalar) : "\\u{\(String(scalar.value, radix: 16))}"
    }
    return scalars.prefix(limit).joined() + (scalars.count > limit ? "…" : "")
}
