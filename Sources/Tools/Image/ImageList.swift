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
            let rows = try options.store().list().map(Row.init)
            if json {
                printJSON(rows)
            } else {
                printTable(rows)
            }
        }
    }

    private func printTable(_ rows: [Row]) {
        var table = Table(["NAME", "DIGEST", "MB", "PACKAGES", "CREATED"])
        table.print(
            rows.map { row in
                [
                    row.name ?? "-", String(row.digest.prefix(19)), "\(row.bytes / 1_000_000)",
                    "\(row.packages)", row.created,
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
    let digest: String
    let bytes: UInt64
    let packages: Int
    let created: String
    let rootfs: String

    init(_ image: Image) {
        name = image.name
        digest = image.digest.description
        bytes = image.facts.bytes
        packages = image.facts.packageCount
        created = Date(timeIntervalSince1970: Double(image.facts.createdUnixSeconds))
            .ISO8601Format()
        rootfs = image.rootfs.string
    }

    private enum Key: String, CodingKey {
        case name, digest, bytes, packages, created, rootfs
    }

    // Written out so that a missing name is null: all keys are always there.
    func encode(to encoder: any Encoder) throws {
        var row = encoder.container(keyedBy: Key.self)
        try row.encode(name, forKey: .name)
        try row.encode(digest, forKey: .digest)
        try row.encode(bytes, forKey: .bytes)
        try row.encode(packages, forKey: .packages)
        try row.encode(created, forKey: .created)
        try row.encode(rootfs, forKey: .rootfs)
    }
}
