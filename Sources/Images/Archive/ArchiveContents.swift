// SPDX-License-Identifier: Apache-2.0

/// The files of an archive as `docker save` and `skopeo` write them, by name; they stay in it.
struct ArchiveContents {
    /// Layers, configurations, manifests, and directories for them.
    private static let entryLimit = 10_000
    /// A manifest or a configuration is no longer.
    private static let documentLimit = 4 << 20
    /// `docker save` writes a layer that is there twice as a link to the first.
    private static let hopLimit = 4

    /// Where a file's bytes are in the archive.
    struct Member {
        let offset: Int
        let bytes: Int
    }

    private enum Target {
        case file(Member)
        case link([[UInt8]])
    }

    let file: ArchiveFile
    private var targets: [[[UInt8]]: Target] = [:]

    /// Reads what there is; an archive that is compressed as a whole is refused.
    init(_ file: ArchiveFile) throws(ImageError) {
        self.file = file
        if let compression = Compression(try file.read(at: 0, count: min(file.bytes, 4))) {
            throw file.refusal(
                "it is compressed with \(compression.rawValue): decompress it first, with "
                    + "'\(compression.rawValue) -d'"
            )
        }
        var reader = TarReader(file, entryLimit: Self.entryLimit)
        while let entry = try reader.next() {
            guard let name = Self.parts(entry.path, below: []) else { continue }
            switch entry.kind {
            case .file(let offset, let bytes, _):
                targets[name] = .file(Member(offset: offset, bytes: bytes))
            case .symbolicLink(let target):
                targets[name] = Self.parts(target, below: name.dropLast()).map(Target.link)
            case .hardLink(let target):
                targets[name] = Self.parts(target, below: []).map(Target.link)
            case .directory, .special: continue
            }
        }
    }

    /// The file that is called `name`, through the archive's own links; nil when there is none.
    func member(_ name: String) -> Member? {
        guard var parts = Self.parts(Array(name.utf8), below: []) else { return nil }
        for _ in 0...Self.hopLimit {
            switch targets[parts] {
            case .file(let member): return member
            case .link(let target): parts = target
            case nil: return nil
            }
        }
        return nil
    }

    /// The bytes of a short file; nil when there is none of this name.
    func document(_ name: String) throws(ImageError) -> [UInt8]? {
        guard let member = member(name) else { return nil }
        guard member.bytes <= Self.documentLimit else {
            throw file.refusal(
                "\(shown(name.utf8)) has \(member.bytes) bytes, and \(Self.documentLimit) are read"
            )
        }
        return try file.read(at: member.offset, count: member.bytes)
    }

    /// The names that a path is made of, as one in `directory`; nil when it leads out of the archive.
    private static func parts(
        _ path: [UInt8],
        below directory: ArraySlice<[UInt8]>
    ) -> [[UInt8]]? {
        var parts = Array(directory)
        for part in path.split(separator: UInt8(ascii: "/")).map({ Array($0) }) {
            if part == Array(".".utf8) { continue }
            guard part == Array("..".utf8) else {
                parts.append(part)
                continue
            }
            if parts.popLast() == nil { return nil }
        }
        return parts
    }
}
