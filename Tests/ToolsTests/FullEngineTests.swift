// SPDX-License-Identifier: Apache-2.0
import Foundation
import SystemPackage
import Testing

@testable import Images

/// Engines that have no room, as SANDBOXD_ENGINE_MIB=64 scripts/with-engines starts them.
@Suite("Images in engines whose disk is full", .timeLimit(.minutes(3)))
struct FullEngineTests {
    @Test(
        "what does not fit is told with the engine's words, and no image is made of it; others fit",
        .enabled(
            if: RealEngine.mebibytes != nil && !RealEngine.present.isEmpty,
            "no engine with a small disk is there: SANDBOXD_ENGINE_MIB=64 scripts/with-engines"
        ),
        arguments: RealEngine.present
    )
    func full(engine: RealEngine) throws {
        let address = "unix://" + (try #require(engine.socket))
        let room = try #require(RealEngine.mebibytes)
        let scratch = try Scratch()
        let store = ["--images", scratch.path + "/store"]
        func name(_ name: String, _ archive: TinyArchive) throws -> ImageDigest {
            let file = try scratch.write("\(name).tar", bytes: archive.bytes)
            let ending = try Tools.run(["image", "import", file, "--name", name] + store)
            #expect(ending.status == 0, "\(ending.text)")
            return try ImageStore.open(FilePath(scratch.path + "/store")).resolve(name).digest
        }
        func load(_ name: String) throws -> Tools.Ending {
            try Tools.run(["image", "load", name, "--docker", address] + store)
        }
        // More than fits, and what fits only if nothing of that is left.
        let big = try name("big", TinyArchive("\(UUID())", mebibytes: room))
        let small = try name("small", TinyArchive("\(UUID())", mebibytes: room / 8))

        for _ in 0..<3 {
            let ending = try load("big")
            #expect(ending.status == 125, "\(ending.text)")
            #expect(ending.errors.contains("no space left on device"), "\(ending.text)")
        }
        #expect(try engine.images("io.sandboxd.image=\(big)").isEmpty)
        // Podman 4.3 leaves what it had taken in by then in a file of its own, for good.
        guard engine == .docker else { return }
        let ending = try load("small")
        #expect(ending.status == 0, "\(ending.text)")
        #expect(try engine.images("io.sandboxd.image=\(small)").count == 1)
    }
}
