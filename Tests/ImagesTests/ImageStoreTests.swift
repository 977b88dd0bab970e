// SPDX-License-Identifier: Apache-2.0
import Foundation
import SystemPackage
import Testing

@testable import Images

@Suite struct ImageStoreTests {
    @Test("a store that is not there yet is an empty one")
    func absent() throws {
        let store = try ImageStore.open(Workshop().path.appending("nowhere"))
        #expect(try store.list().isEmpty)
    }

    @Test("a file is no store")
    func file() throws {
        let workshop = try Workshop()
        try workshop.write("store", "")
        let path = workshop.path.appending("store")
        #expect(throws: ImageError.system(doing: "open", path, .notDirectory)) {
            try ImageStore.open(path)
        }
    }

    @Test("a published image is found by its name, with all that is known about it")
    func resolving() throws {
        let workshop = try Workshop()
        try workshop.publish("tiny", "hello")
        let image = try ImageStore.open(workshop.store.path).resolve("tiny")
        #expect(image.name == "tiny")
        #expect(image.digest == (try workshop.digest("store/\(image.digest.directoryName)/rootfs")))
        #expect(image.environment == ["GREETING": "\"hello\"\n# there"])
        #expect(image.user == .job)
        #expect(image.facts.createdUnixSeconds == 1_700_000_000)
        #expect(try readText(image.rootfs.appending("etc/motd")) == "hello")
    }

    @Test("a missing image says how to build it")
    func missing() throws {
        let store = try Workshop().store
        let error = #expect(throws: ImageError.missing("code", store: store.path)) {
            try store.resolve("code")
        }
        #expect(error?.description.hasSuffix("run `sandboxd image build images/code`") == true)
    }

    @Test("a name leads out of no store", arguments: ["", ".", "..", "../x", "a/b", "A", "-x"])
    func malformedNames(name: String) throws {
        let workshop = try Workshop()
        try workshop.publish("tiny", "hello")
        #expect(throws: ImageError.malformedName(name)) { try workshop.store.resolve(name) }
        #expect(throws: ImageError.malformedName(name)) { try workshop.store.remove(name) }
    }

    @Test("a half-built image and a half-removed one are invisible, and go with the next build")
    func leftovers() throws {
        let workshop = try Workshop()
        let image = try workshop.publish("tiny", "hello")
        try workshop.write("store/.building-1/image/rootfs/etc/motd", "half")
        try workshop.write("store/.removing-1-ff/rootfs/etc/motd", "half")
        #expect(try workshop.store.list() == [image])
        try workshop.store.removeLeftovers()
        #expect(try workshop.storeListing() == ["names", image.digest.directoryName])
    }

    @Test("a name moves to a new image, keeps the one before, and lets go of what was before that")
    func renaming() throws {
        let workshop = try Workshop()
        let images = try ["one", "two", "three"].map { try workshop.publish("tiny", $0) }
        #expect(try workshop.store.resolve("tiny") == images[2])
        let named = try workshop.store.images(named: "tiny")
        #expect(named.current?.digest == images[2].digest)
        #expect(named.previous?.digest == images[1].digest)
        #expect(try !workshop.store.removeIfUnused(images[2].digest))
        #expect(try !workshop.store.removeIfUnused(images[1].digest))
        #expect(try workshop.store.removeIfUnused(images[0].digest))
        #expect(try Set(workshop.store.digests()) == [images[1].digest, images[2].digest])
    }

    @Test("the same content under two names is there once, and goes with the last name")
    func sharing() throws {
        let workshop = try Workshop()
        try workshop.publish("one", "same")
        let image = try workshop.publish("two", "same")
        #expect(try workshop.store.list().map(\.name) == ["one", "two"])
        #expect(try workshop.store.digests() == [image.digest])
        try workshop.store.remove("one")
        #expect(try workshop.store.list() == [image])
        try workshop.store.remove("two")
        #expect(try workshop.storeListing() == ["names"])
    }

    @Test("an image is removed by its digest as well, if enough of it is written")
    func removingByDigest() throws {
        let workshop = try Workshop()
        let image = try workshop.publish("tiny", "hello")
        #expect(throws: ImageError.missing("sha256:", store: workshop.store.path)) {
            try workshop.store.remove("sha256:")
        }
        try workshop.store.remove(image.digest.short)
        #expect(try workshop.storeListing() == ["names"])
        #expect(throws: ImageError.missing("tiny", store: workshop.store.path)) {
            try workshop.store.remove("tiny")
        }
    }

    @Test("a damaged image is named, not guessed at")
    func damaged() throws {
        let workshop = try Workshop()
        let image = try workshop.publish("tiny", "hello")
        try workshop.write("store/\(image.digest.directoryName)/image.yaml", "created: soon\n")
        let error = #expect(throws: ImageError.self) { try workshop.store.resolve("tiny") }
        #expect(error?.description.contains("image.yaml:1: created: \"soon\" is no") == true)
    }

    @Test("everything of a store is for everybody to read")
    func modes() throws {
        let workshop = try Workshop()
        try workshop.publish("tiny", "hello")
        for name in ["", "names"] {
            let entry = try TreeEntry(workshop.store.path.appending(name), name: [])
            #expect(entry.mode == 0o755)
        }
        let record = workshop.store.namesDirectory.appending("tiny")
        #expect(try TreeEntry(record, name: []).mode == 0o644)
    }
}
