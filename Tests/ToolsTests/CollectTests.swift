// SPDX-License-Identifier: Apache-2.0
import Foundation
import SystemPackage
import Testing

@testable import Images

/// `sandboxd image gc` in an engine.
@Suite("Collecting an engine's copies", .timeLimit(.minutes(1)))
struct CollectTests {
    private static let gone = "sha256:" + String(repeating: "ab", count: 32)

    private static func listed(_ tags: [String], _ label: String) -> String {
        let id = "sha256:" + String(repeating: "cd", count: 32)
        let names = tags.map { "\"\($0)\"" }.joined(separator: ",")
        return #"{"Id":"\#(id)","RepoTags":[\#(names)],"Labels":{"io.sandboxd.image":"\#(label)"}}"#
    }

    /// A store with one image, and what an engine has beside it.
    private func collect(
        _ listed: (String) -> [String],
        status: Int = 200,
        _ more: [String] = []
    ) throws -> (ending: Tools.Ending, removed: [String]) {
        let scratch = try Scratch()
        let archive = try TinyArchive("hello")
        let file = try scratch.write("image.tar", bytes: archive.bytes)
        let store = scratch.path + "/store"
        let imported = try Tools.run(["image", "import", file, "--name", "app", "--images", store])
        #expect(imported.status == 0, "\(imported.text)")
        let digest = try ImageStore.open(.init(store)).resolve("app").digest
        let list = "[" + listed("\(digest)").joined(separator: ",") + "]"
        let registry = try FakeRegistry(archive, .init(listed: list, removalStatus: status))
        defer { registry.engine.stop() }
        let ending = try Tools.run(
            ["image", "gc", "--images", store, "--docker", registry.engine.address] + more
        )
        #expect(try ImageStore.open(.init(store)).digests() == [digest])
        let removals = registry.engine.requests.filter { $0.method == "DELETE" }
        return (
            ending, removals.map { $0.path.split(separator: "?")[0].removingPercentEncoding ?? "" }
        )
    }

    @Test("copies go whose image is gone; copies of what is there, and what others made, stay")
    func collecting() throws {
        let (ending, removed) = try collect { digest in
            [
                Self.listed(["sandboxd/app:1"], digest),
                Self.listed(["sandboxd/old:1", "localhost/sandboxd/old:2", "mine:1"], Self.gone),
                // Made from a copy, and so with its label.
                Self.listed(["derived:1"], Self.gone), Self.listed([], Self.gone),
                Self.listed(["sandboxd/other:1"], "no digest"),
            ]
        }
        #expect(ending.status == 0, "\(ending.text)")
        #expect(removed == ["/images/sandboxd/old:1", "/images/localhost/sandboxd/old:2"])
        #expect(ending.errors == "removed: the engine's copy of \(Self.gone)\n")
    }

    @Test("a dry run removes nothing, and says what would go")
    func dryRun() throws {
        let (ending, removed) = try collect(
            { _ in [Self.listed(["sandboxd/old:1"], Self.gone)] },
            ["--dry-run"]
        )
        #expect(removed.isEmpty)
        #expect(ending.errors == "would remove: the engine's copy of \(Self.gone)\n")
    }

    @Test("a copy that containers use stays, and that is no failure")
    func inUse() throws {
        let (ending, _) = try collect(
            { _ in [Self.listed(["sandboxd/old:1"], Self.gone)] },
            status: 409
        )
        #expect(ending.status == 0)
        #expect(ending.errors == "in use, kept: the engine's copy of \(Self.gone)\n")
    }
}
