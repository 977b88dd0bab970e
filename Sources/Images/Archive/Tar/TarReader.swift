// SPDX-License-Identifier: Apache-2.0

/// Reads the entries of a tar archive one after the other: POSIX's (ustar, pax), GNU's and the
/// oldest kind.
///
/// It reads headers only. Nothing is unpacked here, and no path is believed.
struct TarReader {
    /// A path or the pax header of an entry is no longer.
    private static let longest = 1 << 20

    private let file: ArchiveFile
    private var position = 0
    private var entriesLeft: Int
    private let entryLimit: Int

    /// Reads `file`, which may have so many entries.
    init(_ file: ArchiveFile, entryLimit: Int) {
        self.file = file
        self.entryLimit = entryLimit
        entriesLeft = entryLimit
    }

    /// What headers before an entry's own say of it.
    private struct Before {
        var path: [UInt8]?
        var linkPath: [UInt8]?
        var size: Int?
        /// At most one of each kind makes sense.
        var count = 0
    }

    /// The next entry; nil at the archive's end.
    mutating func next() throws(ImageError) -> TarEntry? {
        var before = Before()
        while let header = try header() {
            switch header.type {
            case UInt8(ascii: "x"), UInt8(ascii: "g"), UInt8(ascii: "L"), UInt8(ascii: "K"):
                before.count += 1
                guard before.count <= 8 else { throw file.refusal("an entry has too many headers") }
                try take(header, into: &before)
            default:
                guard entriesLeft > 0 else {
                    throw file.refusal("it has more than \(entryLimit) entries")
                }
                entriesLeft -= 1
                return try entry(header, before)
            }
        }
        guard before.count == 0 else { throw file.refusal("it ends in the middle of an entry") }
        return nil
    }

    // MARK: Headers

    private mutating func header() throws(ImageError) -> TarHeader? {
        guard position < file.bytes else { return nil }
        guard file.bytes - position >= TarHeader.bytes else {
            throw file.refusal("it ends in the middle of an entry")
        }
        let block = try file.read(at: position, count: TarHeader.bytes)
        position += TarHeader.bytes
        // A block of zeros ends it; whatever is behind it is none of our business.
        if block.allSatisfy({ $0 == 0 }) { return nil }
        guard let header = TarHeader(block) else {
            throw file.refusal("it is no tar archive, or damaged at byte \(position - 512)")
        }
        return header
    }

    private mutating func take(
        _ header: TarHeader,
        into before: inout Before
    ) throws(ImageError) {
        guard header.size <= Self.longest else {
            throw file.refusal("an entry has a header of \(header.size) bytes")
        }
        let offset = try skip(header.size)
        let content = try file.read(at: offset, count: header.size)
        switch header.type {
        case UInt8(ascii: "L"): before.path = Array(content.prefix { $0 != 0 })
        case UInt8(ascii: "K"): before.linkPath = Array(content.prefix { $0 != 0 })
        default:
            guard let records = PaxRecords(content) else {
                throw file.refusal("an entry has a header that is damaged")
            }
            try take(records, isGlobal: header.type == UInt8(ascii: "g"), into: &before)
        }
    }

    private func take(
        _ records: PaxRecords,
        isGlobal: Bool,
        into before: inout Before
    ) throws(ImageError) {
        if records.isSparse { throw sparse }
        if isGlobal {
            guard records.path == nil, records.linkPath == nil, records.size == nil else {
                throw file.refusal("a header says what all entries are called")
            }
            return
        }
        before.path = records.path ?? before.path
        before.linkPath = records.linkPath ?? before.linkPath
        if let size = records.size {
            guard let size else { throw file.refusal("an entry's size is no number") }
            before.size = size
        }
    }

    private var sparse: ImageError {
        file.refusal("it has a sparse file, which images do not: make it without --sparse")
    }

    // MARK: Entries

    private mutating func entry(
        _ header: TarHeader,
        _ before: Before
    ) throws(ImageError) -> TarEntry {
        let path = before.path ?? header.path
        let kind: TarEntry.Kind
        switch header.type {
        case UInt8(ascii: "0"), UInt8(ascii: "7"), 0:
            let bytes = before.size ?? header.size
            let offset = try skip(bytes)
            // How the oldest tar writes a directory.
            kind =
                path.last == UInt8(ascii: "/")
                ? .directory
                : .file(offset: offset, bytes: bytes, isProgram: header.mode & 0o111 != 0)
        // The others have no content, whatever their size says.
        case UInt8(ascii: "1"): kind = .hardLink(before.linkPath ?? header.linkPath)
        case UInt8(ascii: "2"): kind = .symbolicLink(before.linkPath ?? header.linkPath)
        case UInt8(ascii: "3"), UInt8(ascii: "4"), UInt8(ascii: "6"): kind = .special
        case UInt8(ascii: "5"): kind = .directory
        case UInt8(ascii: "S"): throw sparse
        default:
            throw file.refusal("\(shown(path)) is of the unknown type '\(shown([header.type]))'")
        }
        return TarEntry(path: path, kind: kind)
    }

    /// Goes past the content behind a header, which must be there.
    ///
    /// - Returns: where it begins.
    private mutating func skip(_ bytes: Int) throws(ImageError) -> Int {
        let offset = position
        guard bytes <= file.bytes - offset else {
            throw file.refusal(
                "an entry says that it has \(bytes) bytes, and \(file.bytes - offset) are there"
            )
        }
        // The last one need not be filled up.
        position = min(offset + (bytes + 511) / 512 * 512, file.bytes)
        return offset
    }
}
