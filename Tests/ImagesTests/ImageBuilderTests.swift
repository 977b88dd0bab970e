// SPDX-License-Identifier: Apache-2.0
import Foundation
import SystemPackage
import Testing

@testable import Images

/// Builds with a script in mmdebstrap's place, which packs a tiny root at once.
@Suite(.timeLimit(.minutes(5))) struct ImageBuilderTests {
    @Test("what is built can be resolved, and only a changed recipe is built again")
    func building() throws {
        let site = try BuilderFixture()
        let image = try #require(try site.build().built)
        #expect(try site.store.resolve("tiny") == image)
        #expect(image.facts.packageCount == 2)
        #expect(
            try site.workshop.storeListing().filter { !$0.hasPrefix(".build.lock") } == [
                "names", image.digest.directoryName,
            ]
        )
        #expect(try site.build() == .upToDate(image))
        #expect(try site.runs() == 1)

        try site.writeRecipe(environment: "B")
        let next = try #require(try site.build().built)
        #expect(next.digest != image.digest)
        #expect(try site.store.images(named: "tiny").previous?.digest == image.digest)
        #expect(try site.runs() == 2)

        try site.writeRecipe(environment: "C")
        let last = try #require(try site.build().built)
        // Nobody held the oldest, so it went.
        #expect(try Set(site.store.digests()) == [next.digest, last.digest])
    }

    @Test("the same content has the same digest in another store, and through another recipe")
    func sameContent() throws {
        let sites = [try BuilderFixture(), try BuilderFixture()]
        try sites[1].writeRecipe(prepare: "true")
        let images = try sites.map { try #require(try $0.build().built) }
        #expect(images[0].digest == images[1].digest)
        // The tree is there already; the name must tell the new recipe all the same.
        try sites[0].writeRecipe(prepare: "true")
        #expect(try sites[0].build().built?.digest == images[0].digest)
        #expect(try sites[0].build().built == nil)
    }

    @Test("the tree is ready for sandboxes: mount points, accounts, and no mode that gives rights")
    func furnishing() throws {
        let site = try BuilderFixture()
        let root = try #require(try site.build().built).rootfs
        for name in ["proc", "dev", "sys", "run", "workspace"] {
            #expect(try names(in: root.appending(name)).isEmpty, "\(name)")
        }
        for (name, target) in [
            ("tmp", "/workspace/.tmp"), ("var/tmp", "/workspace/.tmp"),
            ("etc/mtab", "/proc/self/mounts"),
        ] {
            let entry = try TreeEntry(root.appending(name), name: [])
            #expect(try String(decoding: entry.target(), as: UTF8.self) == target)
        }
        #expect(try readText(root.appending("etc/hostname")) == "sandbox\n")
        #expect(try readText(root.appending("etc/resolv.conf")) == "")
        let job = "job:x:1000:1000:job:/workspace:/bin/bash"
        #expect(
            try readText(root.appending("etc/passwd")).split(separator: "\n").contains(job[...])
        )
        for name in ["etc/machine-id", "etc/shadow", "usr/share/doc", "usr/lib/a/b/tests"] {
            #expect(throws: ImageError.self, "\(name)") {
                try TreeEntry(root.appending(name), name: [])
            }
        }
        try Tree(root: root).walk { (entry) throws(ImageError) in
            #expect(entry.kind != .special)
            if entry.kind != .link { #expect([0o755, 0o644].contains(entry.mode)) }
            return true
        }
        #expect(try TreeEntry(root.appending("usr/bin/su"), name: []).mode == 0o755)
    }

    @Test(
        "a failing build quotes what was said last, and leaves nothing",
        arguments: [
            ("echo 'E: Unable to locate package nix' >&2; exit 25", 25),
            ("echo half > \"$archive\"; echo 'E: Unable to locate package nix' >&2; exit 25", 25),
            ("echo 'E: Unable to locate package nix' >&2; kill -9 $$", -9),
        ]
    )
    func failing(script: String, status: Int) throws {
        let site = try BuilderFixture(script: script)
        let error = #expect(throws: ImageError.self) { try site.build() }
        let lastLines = ["E: Unable to locate package nix"]
        let expected = ImageError.toolFailed(
            "mmdebstrap",
            status: Int32(status),
            lastLines: lastLines
        )
        #expect(error == expected)
        #expect(try site.workshop.storeListing() == [".build.lock", "names"])
    }

    @Test("an archive that does not unpack leaves nothing")
    func brokenArchive() throws {
        let site = try BuilderFixture(script: "echo garbage > \"$archive\"")
        let error = #expect(throws: ImageError.self) { try site.build() }
        #expect(error?.description.hasPrefix("tar failed with 2") == true)
        #expect(try site.workshop.storeListing() == [".build.lock", "names"])
    }

    @Test("a failing build leaves the image of before as it was")
    func failingAgain() throws {
        let site = try BuilderFixture()
        let image = try #require(try site.build().built)
        try site.writeRecipe(environment: "B")
        try site.writeScript("exit 1")
        #expect(throws: ImageError.self) { try site.build() }
        #expect(try site.store.list() == [image])
    }

    @Test("a recipe that is refused makes no store")
    func refused() throws {
        let site = try BuilderFixture()
        try site.workshop.write("recipe/recipe.yaml", "colour: red\n")
        let error = #expect(throws: ImageError.self) { try site.build() }
        #expect(
            error?.description.hasSuffix(
                "recipe.yaml:1: colour: is an unknown key: known are "
                    + "name, suite, packages, purge, remove, prepare, environment, user, "
                    + "wheels, files, versions"
            ) == true
        )
        #expect(try site.workshop.storeListing().isEmpty)
    }

    @Test("mmdebstrap that is not installed is named before anything is made")
    func toolMissing() throws {
        let site = try BuilderFixture()
        try Tree(root: site.workshop.path.appending("tools/mmdebstrap")).remove()
        #expect(throws: ImageError.toolMissing("mmdebstrap")) {
            try site.build(tools: [])
        }
        #expect(try site.workshop.storeListing().isEmpty)
    }

    @Test("of two builds at once the second waits, and then finds the image")
    func concurrent() async throws {
        let site = try BuilderFixture()
        try await withThrowingTaskGroup { group in
            for _ in 0..<2 { group.addTask { try site.build().built } }
            var built = 0
            for try await image in group where image != nil { built += 1 }
            #expect(built == 1)
        }
        #expect(try site.runs() == 1)
    }

    @Test("a killed build is never visible, and the next one removes it")
    func killed() throws {
        let site = try BuilderFixture()
        try site.workshop.write("store/.building-1/image/rootfs/etc/motd", "half")
        #expect(try site.store.list().isEmpty)
        let image = try #require(try site.build().built)
        #expect(
            try site.workshop.storeListing() == [
                ".build.lock", "names", image.digest.directoryName,
            ]
        )
    }
}
