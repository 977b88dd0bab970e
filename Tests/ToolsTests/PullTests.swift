// SPDX-License-Identifier: Apache-2.0
import Foundation
import SystemPackage
import Testing

@testable import Images

/// `sandboxd image pull` through an engine that tells what it was asked.
@Suite("Pulling images", .timeLimit(.minutes(1)))
struct PullTests {
    private static let reference = "host.test/app:1"

    private func pull(
        _ registry: FakeRegistry,
        into scratch: Scratch,
        _ more: [String] = []
    ) throws -> Tools.Ending {
        try Tools.run(
            [
                "image", "pull", Self.reference, "--name", "app", "--images",
                scratch.path + "/store", "--docker", registry.engine.address,
            ] + more
        )
    }

    private func store(_ scratch: Scratch) throws -> ImageStore {
        try ImageStore.open(.init(scratch.path + "/store"))
    }

    @Test("what a tag means is asked once, taken into the store, and loaded with its label")
    func pulling() throws {
        let scratch = try Scratch()
        let registry = try FakeRegistry(TinyArchive("hello"))
        defer { registry.engine.stop() }
        let ending = try pull(registry, into: scratch)
        #expect(ending.status == 0, "\(ending.text)")
        #expect(
            registry.calls == [
                "inspect", "pull", "inspect", "save", "remove", "list", "load", "list",
            ]
        )
        let pull = try #require(registry.engine.requests.first { $0.method == "POST" })
        #expect(pull.path == "/images/create?fromImage=host.test%2Fapp&tag=1")
        let image = try store(scratch).resolve("app")
        #expect(image.facts.source?.reference == Self.reference)
        #expect(image.facts.source?.manifest?.description == FakeRegistry.manifest)
        #expect(image.facts.source?.config.description == registry.image.id)
        let load = try #require(registry.engine.requests.last { $0.method == "POST" })
        #expect(load.path.removingPercentEncoding?.contains("\(image.digest)") == true)
        #expect(registry.engine.requests.allSatisfy { $0.headers["x-registry-auth"] == nil })
        #expect(scratch.names("store") == [".build.lock", "names", image.digest.directoryName])
    }

    @Test("what the engine had before, it keeps")
    func kept() throws {
        let scratch = try Scratch()
        let registry = try FakeRegistry(TinyArchive("hello"), .init(wasThere: true))
        defer { registry.engine.stop() }
        #expect(try pull(registry, into: scratch).status == 0)
        #expect(!registry.calls.contains("remove"))
    }

    @Test("a tag that means something else by now is a candidate, and the name stays")
    func again() throws {
        let scratch = try Scratch()
        for text in ["one", "two"] {
            let registry = try FakeRegistry(TinyArchive(text))
            defer { registry.engine.stop() }
            let ending = try pull(registry, into: scratch)
            #expect(ending.status == 0, "\(ending.text)")
            #expect(ending.text.contains("image activate app") == (text == "two"))
        }
        let images = try store(scratch).images(named: "app")
        let root = try #require(images.current?.rootfs)
        #expect(try readText(root.appending("etc/motd")) == "one")
        let next = try #require(images.candidate?.rootfs)
        #expect(try readText(next.appending("etc/motd")) == "two")
    }

    @Test("an engine that tells no digest while it pulls is asked for the image's names")
    func quietEngine() throws {
        let scratch = try Scratch()
        let registry = try FakeRegistry(TinyArchive("hello"), .init(saidDigest: nil))
        defer { registry.engine.stop() }
        #expect(try pull(registry, into: scratch).status == 0)
        let manifest = try store(scratch).resolve("app").facts.source?.manifest
        #expect(manifest?.description == FakeRegistry.manifest)
    }

    /// What an engine may do wrong, and what is said of it.
    static let faults: [(String, FakeRegistry.Behaviour)] = [
        ("the engine does not say which digest", .init(saidDigest: nil, knownDigests: [])),
        (
            "the engine does not say which digest",
            .init(saidDigest: nil, knownDigests: ["other.test/app@" + FakeRegistry.manifest])
        ),
        (
            "was moved to another image while it was pulled",
            .init(saidDigest: "sha256:" + String(repeating: "34", count: 32))
        ),
        ("the engine was asked for", .init(archive: try? TinyArchive("another").bytes)),
        ("it is no tar archive", .init(archive: [UInt8](repeating: 7, count: 4096))),
        ("neither manifest.json nor index.json", .init(archive: [])),
        (
            "the engine answered 404: manifest unknown",
            .init(pullAnswer: .json(#"{"message":"manifest unknown"}"#, status: 404))
        ),
        ("the engine failed: no space", .init(pullAnswer: .json(#"{"error":"no space"}"#))),
    ]

    @Test("what goes wrong at the engine is told, and nothing is left of it", arguments: faults)
    func fault(words: String, behaviour: FakeRegistry.Behaviour) throws {
        let scratch = try Scratch()
        let registry = try FakeRegistry(TinyArchive("hello"), behaviour)
        defer { registry.engine.stop() }
        let ending = try pull(registry, into: scratch)
        #expect(ending.status == 125)
        #expect(ending.errors.contains(words), "\(ending.errors)")
        #expect(scratch.names("store").allSatisfy { [".build.lock", "names"].contains($0) })
        #expect(scratch.names("store/names").isEmpty)
        #expect(!registry.calls.contains("load"))
        if behaviour.pullAnswer == nil { #expect(registry.calls.contains("remove")) }
    }

    @Test(
        "what cannot be pulled is refused before the engine is asked for it",
        arguments: ["host.test/app", "HOST.test/App:1", "sha256:12", "host.test/app:1 --x", ""]
    )
    func malformed(reference: String) throws {
        let scratch = try Scratch()
        let registry = try FakeRegistry(TinyArchive("hello"))
        defer { registry.engine.stop() }
        let ending = try Tools.run([
            "image", "pull", "--name", "app", "--images", scratch.path + "/store", "--docker",
            registry.engine.address, "--", reference,
        ])
        #expect(ending.status == 125)
        #expect(!registry.calls.contains("pull"))
    }

    @Test("a pull needs an engine, and a good name")
    func usage() throws {
        let scratch = try Scratch()
        let store = scratch.path + "/store"
        var ending = try Tools.run([
            "image", "pull", Self.reference, "--name", "app", "--images", store,
        ])
        #expect(ending.errors.contains("no engine is named: give --docker unix:///PATH"))
        let registry = try FakeRegistry(TinyArchive("hello"))
        defer { registry.engine.stop() }
        ending = try Tools.run([
            "image", "pull", Self.reference, "--name", "../app", "--images", store, "--docker",
            registry.engine.address,
        ])
        #expect(ending.errors.contains("is no image's name"))
        #expect(registry.calls.isEmpty)
    }
}
