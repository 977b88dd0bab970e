// SPDX-License-Identifier: Apache-2.0
import Foundation
import SystemPackage
import Testing

@testable import Images

/// The way of an image through engines and back. They are started by scripts/with-engines.
@Suite("Images in engines", .timeLimit(.minutes(3)))
struct RealEngineTests {
    private func run(_ arguments: [String]) throws -> Tools.Ending {
        let ending = try Tools.run(arguments)
        #expect(ending.status == 0, "\(arguments): \(ending.text)")
        return ending
    }

    @Test(
        "an image is loaded, saved by the engine, imported again, and is still the same",
        .enabled(
            if: !RealEngine.present.isEmpty,
            "no engine is there: scripts/with-engines starts some"
        ),
        arguments: RealEngine.present
    )
    func roundTrip(engine: RealEngine) throws {
        let address = "unix://" + (try #require(engine.socket))
        let scratch = try Scratch()
        let store = scratch.path + "/store"
        let there = ["--images", store, "--docker", address]
        let file = try scratch.write("image.tar", bytes: TinyArchive("\(UUID())").bytes)
        _ = try run(["image", "import", file, "--name", "app", "--images", store])
        let image = try ImageStore.open(FilePath(store)).resolve("app")
        #expect(try run(["image", "load", "app"] + there).errors.contains(" now\n"))
        #expect(try run(["image", "load", "app"] + there).errors.contains(" already\n"))

        let label = "io.sandboxd.image=\(image.digest)"
        let copies = try engine.images(label)
        #expect(copies.count == 1)
        let copy = try #require(copies.first)
        let saved = try scratch.write("saved.tar", bytes: engine.answer("/images/\(copy)/get"))
        _ = try run(["image", "import", saved, "--name", "back", "--images", store])
        #expect(try ImageStore.open(FilePath(store)).resolve("back").digest == image.digest)

        // In the store it stays while a name has it, and so does the copy.
        let kept = try run(["image", "gc"] + there).errors
        #expect(!kept.contains("\(image.digest)"))
        for name in ["app", "back"] { _ = try run(["image", "rm", name, "--images", store]) }
        let swept = try run(["image", "gc"] + there).errors
        #expect(swept.contains("removed: the engine's copy of \(image.digest)"))
        #expect(try engine.images(label).isEmpty)
    }
}
