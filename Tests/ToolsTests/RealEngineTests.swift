// SPDX-License-Identifier: Apache-2.0
import DockerAPI
import Foundation
import Kernel
import SystemPackage
import Testing

@testable import Images

/// The way of an image through engines and back. They are started by scripts/with-engines.
@Suite("Images in engines", .timeLimit(.minutes(3)))
struct RealEngineTests {
    /// An engine that is there.
    enum Engine: String, CaseIterable, Sendable {
        case docker = "SANDBOXD_TEST_DOCKER"
        case podman = "SANDBOXD_TEST_PODMAN"

        var address: String? {
            ProcessInfo.processInfo.environment[rawValue].map { "unix://" + $0 }
        }

        static var present: [Engine] { allCases.filter { $0.address != nil } }
    }

    private func run(_ arguments: [String]) throws -> Tools.Ending {
        let ending = try Tools.run(arguments)
        #expect(ending.status == 0, "\(arguments): \(ending.text)")
        return ending
    }

    @Test(
        "an image is loaded, saved by the engine, imported again, and is still the same",
        .enabled(
            if: !Engine.present.isEmpty,
            "no engine is there: scripts/with-engines starts some"
        ),
        arguments: Engine.present
    )
    func roundTrip(engine: Engine) async throws {
        let address = try #require(engine.address)
        let scratch = try Scratch()
        let store = scratch.path + "/store"
        let there = ["--images", store, "--docker", address]
        let file = try scratch.write("image.tar", bytes: TinyArchive("\(UUID())").bytes)
        _ = try run(["image", "import", file, "--name", "app", "--images", store])
        let image = try ImageStore.open(FilePath(store)).resolve("app")
        #expect(try run(["image", "load", "app"] + there).errors.contains(" now\n"))
        #expect(try run(["image", "load", "app"] + there).errors.contains(" already\n"))

        let client = DockerClient(try EngineAddress(address), on: try EventLoop())
        let label = ["io.sandboxd.image": "\(image.digest)"]
        let copies = try await client.images(labels: label)
        #expect(copies.count == 1)
        let copy = try #require(copies.first)
        let saved = try scratch.write("saved.tar", bytes: [])
        let archive = try Descriptor.open(saved, O_WRONLY)
        let bytes = try await client.save(
            ImageReference(copy.id),
            to: archive,
            byteLimit: 1 << 26
        )
        #expect(try FileManager.default.attributesOfItem(atPath: saved)[.size] as? Int == bytes)
        _ = try run(["image", "import", saved, "--name", "back", "--images", store])
        #expect(try ImageStore.open(FilePath(store)).resolve("back").digest == image.digest)

        // In the store it stays while a name has it, and so does the copy.
        let kept = try run(["image", "gc"] + there).errors
        #expect(!kept.contains("\(image.digest)"))
        for name in ["app", "back"] { _ = try run(["image", "rm", name, "--images", store]) }
        let swept = try run(["image", "gc"] + there).errors
        #expect(swept.contains("removed: the engine's copy of \(image.digest)"))
        #expect(try await client.images(labels: label).isEmpty)
        await client.close()
    }
}
