// SPDX-License-Identifier: Apache-2.0
import Foundation
import SystemPackage
import Testing

@testable import Images

/// `sandboxd image gc` in an engine.
@Suite("Collecting an engine's copies", .timeLimit(.minutes(1)))
struct CollectTests {
    private static let gone = "sha256:" + String(repeating: "ab", count: 32)

    /// An image with our labels, as an engine lists it.
    private static func listed(_ tags: [String], _ digest: String, of store: String) -> String {
        let id = "sha256:" + String(repeating: "cd", count: 32)
        let names = tags.map { "\"\($0)\"" }.joined(separator: ",")
        let labels = #"{"io.sandboxd.image":"\#(digest)","io.sandboxd.store":"\#(store)"}"#
        return #"{"Id":"\#(id)","RepoTags":[\#(names)],"Labels":\#(labels)}"#
    }

    /// A store with one image, and what an engine has beside it.
    private func collect(
        _ listed: (_ digest: String, _ store: String) -> [String],
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
        let identity = try ImageStore.open(.init(store)).identity
        let list = "[" + listed("\(digest)", identity).joined(separator: ",") + "]"
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
        let (ending, removed) = try collect { digest, store in
            [
                Self.listed(["sandboxd/app:1"], digest, of: store),
                Self.listed(
                    ["sandboxd/old:1", "localhost/sandboxd/old:2", "mine:1"],
                    Self.gone,
                    of: store
                ),
                // Made from a copy, and so with its labels.
                Self.listed(["derived:1"], Self.gone, of: store),
                Self.listed([], Self.gone, of: store),
                Self.listed(["sandboxd/other:1"], "no digest", of: store),
                Self.listed(["sandboxd/theirs:1"], Self.gone, of: "another"),
            ]
        }
        #expect(ending.status == 0, "\(ending.text)")
        #expect(removed == ["/images/sandboxd/old:1", "/images/localhost/sandboxd/old:2"])
        #expect(ending.errors == "removed: the engine's copy of \(Self.gone)\n")
    }

    @Test("a dry run removes nothing, and says what would go")
    func dryRun() throws {
        let (ending, removed) = try collect(
            { _, store in [Self.listed(["sandboxd/old:1"], Self.gone, of: store)] },
            ["--dry-run"]
        )
        #expect(removed.isEmpty)
        #expect(ending.errors == "would remove: the engine's copy of \(Self.gone)\n")
    }

    @Test("a copy that containers use stays, and that is no failure")
    func inUse() throws {
        let (ending, _) = try collect(
            { _, store in [Self.listed(["sandboxd/old:1"], Self.gone, of: store)] },
            status: 409
        )
        #expect(ending.status == 0)
        #expect(ending.errors == "in use, kept: the engine's copy of \(Self.gone)\n")
    }
}
