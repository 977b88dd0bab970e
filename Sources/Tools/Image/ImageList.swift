// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import FoundationEssentials
internal import Images
internal import SystemPackage

/// `sandboxd image ls`: what is in the store.
struct ImageList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls",
        abstract: "Lists the images."
    )

    @OptionGroup var options: ImageStoreOptions

    @Flag(help: "Print a JSON list to standard output.")
    var json = false

    func run() throws {
        try ImageCommand.run { () throws(ImageError) in
            let rows = try rows(options.store())
            if json {
                printJSON(rows)
            } else {
                printTable(rows)
            }
        }
    }

    /// A row for each name that an image has, had or may have; one for an image without any.
    private func rows(_ store: ImageStore) throws(ImageError) -> [Row] {
        let roles = try store.roles()
        var rows: [Row] = []
        var seen: Set<ImageDigest> = []
        for image in try store.list() where seen.insert(image.digest).inserted {
            let mine = roles[image.digest] ?? []
            rows += mine.isEmpty ? [Row(image, nil)] : mine.map { Row(image, $0) }
        }
        return rows.sorted { $0.order.lexicographicallyPrecedes($1.order) }
    }

    private func printTable(_ rows: [Row]) {
        var table = Table(["NAME", "ROLE", "DIGEST", "MB", "PACKAGES", "CREATED", "VERSIONS"])
        table.print(
            rows.map { row in
                [
                    row.name ?? "-", row.role ?? "-", String(row.digest.prefix(19)),
                    "\(row.bytes / 1_000_000)", "\(row.packages)", row.created,
                    row.versions.isEmpty ? "-" : row.versionWords,
                ]
            }
        )
    }

    private func printJSON(_ rows: [Row]) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        do {
            print(String(decoding: try encoder.encode(rows), as: UTF8.self))
        } catch {
            preconditionFailure("texts and numbers do not encode: \(error)")
        }
    }
}

/// One image, as it is printed.
private struct Row: Encodable {
    let name: String?
    let role: String?
    let digest: String
    let bytes: UInt64
    let packages: Int
    let created: String
    let rootfs: String
    let source: Source?
    let versions: [String: String]

    /// `chromium 1.2, python3 3.11`.
    var versionWords: String {
        versions.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
            .joined(separator: ", ")
    }

    /// Where an imported image comes from.
    struct Source: Encodable {
        let reference: String
        let manifest: String?
        let config: String
    }

    /// By name, current first; those without a name last.
    let order: [String]

    init(_ image: Image, _ role: ImageRole?) {
        name = role?.name
        self.role = role?.kind.rawValue
        let place = ImageRole.Kind.allCases.firstIndex { $0 == role?.kind } ?? 0
        order = [role?.name ?? "~", "\(place)", image.digest.hex]
        digest = image.digest.description
        bytes = image.facts.bytes
        packages = image.facts.packageCount
        created = Date(timeIntervalSince1970: Double(image.facts.createdUnixSeconds))
            .ISO8601Format()
        rootfs = image.rootfs.string
        versions = image.facts.versions
        source = image.facts.source.map {
            Source(
                reference: $0.reference,
                manifest: $0.manifest?.description,
                config: $0.config.description
            )
        }
    }

    private enum Key: String, CodingKey {
        case name, role, digest, bytes, packages, created, rootfs, source, versions
    }

    // Written out so that a missing name is null: all keys are always there.
    func encode(to encoder: any Encoder) throws {
        var row = encoder.container(keyedBy: Key.self)
        try row.encode(name, forKey: .name)
        try row.encode(role, forKey: .role)
        try row.encode(digest, forKey: .digest)
        try row.encode(bytes, forKey: .bytes)
        try row.encode(packages, forKey: .packages)
        try row.encode(created, forKey: .created)
        try row.encode(rootfs, forKey: .rootfs)
        try row.encode(source, forKey: .source)
        try row.encode(versions, forKey: .versions)
    }
}
