// SPDX-License-Identifier: Apache-2.0
import Foundation
import SystemPackage
import Testing

@testable import Images

@Suite struct TreeDigestTests {
    /// Makes the same little tree at `name` each time.
    private func make(_ name: String, in workshop: Workshop) throws {
        try workshop.write("\(name)/bin/tool", "#!/bin/sh\n", mode: 0o755)
        try workshop.write("\(name)/etc/motd", "hello\n")
        try workshop.write("\(name)/etc-motd", "hello\n")
        let link = workshop.path.appending("\(name)/sh").string
        try FileManager.default.createSymbolicLink(
            atPath: link,
            withDestinationPath: "bin/tool"
        )
    }

    @Test("two trees with the same content have the same digest, whenever they were made")
    func same() throws {
        let workshop = try Workshop()
        try make("a", in: workshop)
        try make("b", in: workshop)
        let old = [FileAttributeKey.modificationDate: Date(timeIntervalSince1970: 1)]
        let file = workshop.path.appending("b/etc/motd").string
        try FileManager.default.setAttributes(old, ofItemAtPath: file)
        #expect(try workshop.digest("a") == workshop.digest("b"))
    }

    @Test("any change of content changes the digest", arguments: Change.allCases)
    func different(change: Change) throws {
        let workshop = try Workshop()
        try make("a", in: workshop)
        let before = try workshop.digest("a")
        try change.make(in: workshop)
        #expect(try workshop.digest("a") != before)
    }

    /// What can be different about a tree.
    enum Change: CaseIterable {
        case bytes, mode, target, name, moreFiles, moreDirectories, kind

        func make(in workshop: Workshop) throws {
            let files = FileManager.default
            func path(_ name: String) -> String { workshop.path.appending("a/\(name)").string }
            switch self {
            case .bytes:
                try workshop.write("a/etc/motd", "hullo\n")
            case .mode:
                try workshop.write("a/etc/motd", "hello\n", mode: 0o755)
            case .target:
                try files.removeItem(atPath: path("sh"))
                try files.createSymbolicLink(
                    atPath: path("sh"),
                    withDestinationPath: "/bin/tool"
                )
            case .name:
                try files.moveItem(atPath: path("etc/motd"), toPath: path("etc/motto"))
            case .moreFiles:
                try workshop.write("a/etc/empty", "")
            case .moreDirectories:
                try makeDirectory(FilePath(path("srv")), mode: 0o755)
            case .kind:
                try files.removeItem(atPath: path("sh"))
                try workshop.write("a/sh", "bin/tool")
            }
        }
    }

    @Test("the environment is content too")
    func environment() throws {
        let workshop = try Workshop()
        try make("a", in: workshop)
        #expect(try workshop.digest("a", environment: ["A": "1"]) != workshop.digest("a"))
    }

    @Test("a device, a FIFO or a socket has no digest")
    func special() throws {
        let workshop = try Workshop()
        try make("a", in: workshop)
        let fifo = workshop.path.appending("a/fifo")
        #expect(mkfifo(fifo.string, 0o600) == 0)
        #expect(throws: ImageError.self) { try workshop.digest("a") }
    }

    /// The definition in the documentation, computed by hand with other tools:
    /// a tree of one file `a`, mode 0644, with the bytes `x`.
    @Test("the digest is the documented one")
    func documented() throws {
        let workshop = try Workshop()
        try workshop.write("a/a", "x")
        let hex = "329fa4fa27e4b35ded01fafaf1eee433b82513ca8d66dde1022a74ef87924b98"
        #expect(try workshop.digest("a").hex == hex)
    }

    @Test("a name that is no UTF-8 counts with its own bytes")
    func bytes() throws {
        let workshop = try Workshop()
        try make("a", in: workshop)
        let root = workshop.path.appending("a")
        let names: [[CChar]] = [[0x66, -1, 0], [0x66, -2, 0]]
        var digests: Set<ImageDigest> = []
        for name in names {
            let component = try #require(FilePath.Component(platformString: name))
            try writeText("", to: root.appending(component))
            digests.insert(try workshop.digest("a"))
            #expect(root.appending(component).withPlatformString { unlink($0) } == 0)
        }
        #expect(digests.count == 2)
    }
}
