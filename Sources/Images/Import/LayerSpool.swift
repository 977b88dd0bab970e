// SPDX-License-Identifier: Apache-2.0
internal import Crypto
internal import Glibc
internal import SystemPackage

/// Takes layers out of an archive, decompressed, each into a file without a name, and only if it is
/// what its digests say.
///
/// A copy, so that what is read later is what was checked, whoever writes to the archive meanwhile.
struct LayerSpool {
    let archive: FilePath
    let contents: ArchiveContents
    let site: StoreSite
    let tools: ImportTools

    /// Bytes that the layers may still have.
    var bytesLeft: Int

    /// Takes out the layer with this number, from 1.
    mutating func take(
        _ layer: ArchivedImage.Layer,
        number: Int,
        holding lock: borrowing Descriptor
    ) throws(ImageError) -> ArchiveFile {
        let part = "layer \(number)"
        let member = layer.member
        let file = contents.file
        let packed = try scratch()
        var sha = SHA256()
        var beginning: [UInt8] = []
        // A layer that is not compressed is no smaller than what is in it.
        guard member.bytes <= bytesLeft else { throw tooLarge() }
        try file.read(at: member.offset, count: member.bytes) { (piece) throws(ImageError) in
            if beginning.isEmpty { beginning = Array(piece.prefix(4)) }
            sha.update(data: piece)
            try writeAll(piece[...], to: packed, scratchPath)
        }
        let digest = ImageDigest(sha.finalize())
        if let wanted = layer.digest, wanted != digest {
            throw file.refusal("\(part) is called \(wanted), and is \(digest)")
        }
        guard let compression = Compression(beginning) else {
            try check(digest, layer, part)
            bytesLeft -= member.bytes
            return try ArchiveFile(packed, of: archive, part: part)
        }
        let tool = try tools.decompressor(compression) { file.refusal("\(part) \($0)") }
        try system("rewind", scratchPath) { _ in lseek(packed.fd, 0, SEEK_SET) }
        return try decompress(packed, by: tool, layer, part, holding: lock)
    }

    private mutating func decompress(
        _ packed: borrowing Descriptor,
        by tool: Tool,
        _ layer: ArchivedImage.Layer,
        _ part: String,
        holding lock: borrowing Descriptor
    ) throws(ImageError) -> ArchiveFile {
        let unpacked = try scratch()
        var sha = SHA256()
        var left = bytesLeft
        let arguments = ["--decompress", "--stdout", "--quiet"]
        let status = try tool.filter(arguments, packed, holding: lock) {
            (piece) throws(ImageError) in
            left -= piece.count
            guard left >= 0 else { throw tooLarge() }
            piece.withUnsafeBytes { sha.update(bufferPointer: $0) }
            try writeAll(piece, to: unpacked, scratchPath)
        }
        guard status == 0 else {
            throw contents.file.refusal("\(part) does not decompress: it is damaged")
        }
        bytesLeft = left
        try check(ImageDigest(sha.finalize()), layer, part)
        return try ArchiveFile(unpacked, of: archive, part: part)
    }

    private func check(
        _ content: ImageDigest,
        _ layer: ArchivedImage.Layer,
        _ part: String
    ) throws(ImageError) {
        guard content == layer.content else {
            throw contents.file.refusal(
                "\(part) holds \(content), and the configuration says \(layer.content)"
            )
        }
    }

    private func tooLarge() -> ImageError {
        contents.file.refusal("its layers are larger than an image's may be, decompressed")
    }

    /// What errors call a file without a name, which it had for a moment.
    private var scratchPath: FilePath { site.path.appending("layer") }

    /// A file for reading and writing that has no name any more.
    private func scratch() throws(ImageError) -> Descriptor {
        let path = scratchPath
        let flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW
        let file = try Descriptor(path, flags, mode: 0o600, doing: "create")
        try system("remove", path) { unlink($0) }
        return file
    }
}
