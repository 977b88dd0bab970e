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
        let lines =
            [["NAME", "DIGEST", "MB", "PACKAGES", "CREATED"]]
            + rows.map { row in
                [
                    row.name ?? "-", String(row.digest.prefix(19)), "\(row.bytes / 1_000_000)",
                    "\(row.packages)", row.created,
                ]
            }
        let widths = (0..<5).map { column in lines.map(\.[column].count).max() ?? 0 }
        for line in lines {
            let cells = zip(line, widths).map { cell, width in
                cell + String(repeating: " ", count: width - cell.count)
            }
            print(cells.joined(separator: "  "))
        }
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
