// SPDX-License-Identifier: Apache-2.0
import Foundation
import SystemPackage
import Testing

@testable import Images

/// Images from archives as others make them.
@Suite(.timeLimit(.minutes(1))) struct ImportTests {
    /// Two layers with everything that a layer may do to the one below it.
    static var layers: [TarWriter] {
        var lower = TarWriter()
        for name in [
            "etc", "bin", "lib", "keep", "gone", "opaque", "opaque/inner", "was-directory",
        ] {
            lower.directory(name)
        }
        lower.file("etc/motd", "lower")
        lower.file("bin/tool", "#!/bin/sh\n", mode: 0o4755)
        lower.file("keep/a", "a")
        lower.file("keep/b", "b")
        lower.file("gone/file")
        lower.file("opaque/old", "old")
        lower.file("opaque/inner/old", "old")
        lower.file("was-directory/file")
        lower.file("was-file", "x")
        lower.link("sh", "/bin/tool")
        lower.add("3", "null")
        var upper = TarWriter()
        upper.file("etc/motd", "upper")
        upper.file("keep/.wh.a")
        upper.file(".wh.gone")
        // The layer's own files stay, whatever the order.
        upper.file("opaque/before", "new")
        upper.file("opaque/.wh..wh..opq")
        upper.file("opaque/inner/after", "new")
        upper.file("was-directory", "a file now")
        upper.directory("was-file")
        upper.add("1", "keep/hard", link: "keep/b")
        upper.add("6", "keep/fifo")
        upper.file(String(repeating: "long/", count: 30) + "name", "deep")
        return [lower, upper]
    }

    /// What is in a tree: each path with its kind, and a file with its text.
    private func listing(_ image: Image) throws -> [String: String] {
        var listing: [String: String] = [:]
        try Tree(root: image.rootfs).walk { (entry) throws(ImageError) in
            let name = String(decoding: entry.name, as: UTF8.self)
            switch entry.kind {
            case .directory: listing[name] = "/"
            case .file: listing[name] = try readText(entry.path)
            case .link: listing[name] = "-> " + String(decoding: try entry.target(), as: UTF8.self)
            case .special: listing[name] = "special"
            }
            return true
        }
        return listing
    }

    @Test(
        "layers come to one tree, in order, and what a layer hides is gone",
        arguments: ArchiveMaker.Layout.allCases
    )
    func layering(layout: ArchiveMaker.Layout) throws {
        let workshop = try Workshop()
        let outcome = try workshop.importing(ArchiveMaker(Self.layers, layout))
        let listing = try listing(outcome.image)
        let wanted = [
            "/etc/motd": "upper", "/bin/tool": "#!/bin/sh\n", "/keep/b": "b", "/keep/hard": "b",
            "/opaque/before": "new", "/opaque/inner/after": "new", "/opaque": "/",
            "/was-directory": "a file now", "/was-file": "/", "/sh": "-> /bin/tool",
            "/" + String(repeating: "long/", count: 30) + "name": "deep",
        ]
        for (name, what) in wanted { #expect(listing[name] == what, "\(name)") }
        for name in [
            "/keep/a", "/gone", "/gone/file", "/opaque/old", "/opaque/inner/old", "/null",
            "/keep/fifo", "/was-directory/file", "/keep/.wh.a", "/.wh.gone",
        ] {
            #expect(listing[name] == nil, "\(name)")
        }
        #expect(outcome.specialCount == 2)
    }

    @Test("the same image in either layout is the same tree")
    func sameTree() throws {
        let workshop = try Workshop()
        let outcomes = try ArchiveMaker.Layout.allCases.enumerated().map { index, layout in
            try workshop.importing(ArchiveMaker(Self.layers, layout), as: "image-\(index)")
        }
        #expect(outcomes[0].image.digest == outcomes[1].image.digest)
        #expect(outcomes[0].config.digest == outcomes[1].config.digest)
    }

    @Test("two names of one file are one file in the tree")
    func hardLinks() throws {
        let workshop = try Workshop()
        let root = try workshop.importing(ArchiveMaker(Self.layers)).image.rootfs
        let inodes = try ["keep/b", "keep/hard"].map {
            try TreeEntry(root.appending($0), name: []).inode
        }
        #expect(inodes[0] == inodes[1])
    }

    @Test("an imported tree is as ready for sandboxes as a built one")
    func furnishing() throws {
        let workshop = try Workshop()
        let image = try workshop.importing(ArchiveMaker(Self.layers)).image
        for name in ["proc", "dev", "sys", "run", "workspace"] {
            #expect(try names(in: image.rootfs.appending(name)).isEmpty, "\(name)")
        }
        #expect(try listing(image)["/tmp"] == "-> /workspace/.tmp")
        #expect(try listing(image)["/var/tmp"] == "-> /workspace/.tmp")
        let account = "job:x:1000:1000:job:/workspace:/bin/sh"
        #expect(try readText(image.rootfs.appending("etc/passwd")).contains(account))
        try Tree(root: image.rootfs).walk { (entry) throws(ImageError) in
            #expect(entry.kind != .special)
            if entry.kind != .link { #expect([0o755, 0o644].contains(entry.mode)) }
            return true
        }
        #expect(try TreeEntry(image.rootfs.appending("bin/tool"), name: []).mode == 0o755)
    }

    @Test("what an archive is, is kept; how it would be run is told, and not taken over")
    func facts() throws {
        let workshop = try Workshop()
        let maker = ArchiveMaker(Self.layers)
        let outcome = try workshop.importing(maker)
        let image = try workshop.store.resolve("tiny")
        #expect(image == outcome.image)
        #expect(image.facts.source?.reference == "some/thing:1")
        #expect(image.facts.source?.config == ImageDigest(ofBytes: maker.config))
        #expect(image.facts.source?.manifest == nil)
        #expect(image.environment.isEmpty)
        #expect(
            image.user
                == ImageUser(
                    name: "job",
                    uid: 1000,
                    gid: 1000,
                    home: "/workspace",
                    shell: "/bin/sh"
                )
        )
        #expect(outcome.config.created == "2024-05-06T07:08:09Z")
        #expect(
            outcome.config.settings == [
                "user root", "working directory /srv", "entry point /bin/sh -c",
                #"command echo \u{1b}[31m"#, "variable SECRET=1", "variable PATH=/bin",
            ]
        )
    }

    @Test("a pulled archive's origin is kept, and must be what the engine was asked for")
    func origin() throws {
        let workshop = try Workshop()
        let maker = ArchiveMaker(Self.layers)
        let file = workshop.path.appending("image.tar")
        try Data(maker.bytes()).write(to: URL(fileURLWithPath: file.string))
        let importer = ImageImporter(store: workshop.store) { _ in }
        let manifest = ImageDigest(ofBytes: [1])
        func origin(_ id: ImageDigest) -> ImageImporter.Origin {
            .init(reference: "host/x:1", manifest: manifest, id: id)
        }
        let error = #expect(throws: ImageError.self) {
            try importer.image(of: ImageArchive(file), as: "tiny", from: origin(manifest))
        }
        #expect(error?.description.contains("the engine was asked for") == true)
        let id = ImageDigest(ofBytes: maker.config)
        let image = try importer.image(of: ImageArchive(file), as: "tiny", from: origin(id)).image
        #expect(image.facts.source?.reference == "host/x:1")
        #expect(try workshop.store.resolve("tiny").facts.source?.manifest == manifest)
    }

    @Test("a layer that is there twice, as Docker saves it, is found through its link")
    func twice() throws {
        let workshop = try Workshop()
        let layer = Self.layers[0]
        let image = try workshop.importing(ArchiveMaker([layer, Self.layers[1], layer])).image
        #expect(try readText(image.rootfs.appending("etc/motd")) == "lower")
    }

    @Test("a path through a link ends where the link leads inside the image")
    func throughLink() throws {
        var lower = TarWriter()
        lower.directory("usr/bin")
        lower.link("bin", "usr/bin")
        lower.link("far", "/../../../far-away")
        var upper = TarWriter()
        upper.file("bin/sh", "shell", mode: 0o755)
        upper.file("far/file", "far")
        let workshop = try Workshop()
        let listing = try listing(workshop.importing(ArchiveMaker([lower, upper])).image)
        #expect(listing["/usr/bin/sh"] == "shell")
        #expect(listing["/bin"] == "-> usr/bin")
        #expect(listing["/far-away/file"] == "far")
    }

    @Test(
        "zstd is undone when it is there, and named when it is not",
        .enabled(if: FileManager.default.fileExists(atPath: "/usr/bin/zstd"), "zstd is missing")
    )
    func zstd() throws {
        let workshop = try Workshop()
        var maker = ArchiveMaker(Self.layers, .oci)
        maker.compression = ("/usr/bin/zstd", ["-c", "-q"])
        let error = #expect(throws: ImageError.self) {
            try workshop.importing(maker, tools: [workshop.path])
        }
        #expect(
            error?.description.contains(
                "layer 1 is compressed with zstd, which is not installed: run 'apt-get install zstd'"
            ) == true
        )
        let image = try workshop.importing(maker).image
        #expect(try readText(image.rootfs.appending("etc/motd")) == "upper")
    }

    @Test("a free name stands for an import at once; a name in use has it for a candidate")
    func naming() throws {
        let workshop = try Workshop()
        let first = try workshop.importing(ArchiveMaker([Self.layers[0]]))
        #expect(first.isCurrent)
        #expect(try workshop.importing(ArchiveMaker([Self.layers[0]])).isCurrent)
        let second = try workshop.importing(ArchiveMaker(Self.layers))
        #expect(!second.isCurrent)
        let images = try workshop.store.images(named: "tiny")
        #expect(images.current?.digest == first.image.digest)
        #expect(images.candidate?.digest == second.image.digest)
        #expect(images.previous == nil)
    }

    @Test("names that are no UTF-8 are kept, byte by byte")
    func bytes() throws {
        var layer = TarWriter()
        layer.add("0", "", name: [0x61, 0xff, 0x62])
        let workshop = try Workshop()
        let image = try workshop.importing(ArchiveMaker([layer])).image
        let found = try TreeEntry(image.rootfs, name: []).children().map(\.name)
        #expect(found.contains([0x2f, 0x61, 0xff, 0x62]))
    }
}
