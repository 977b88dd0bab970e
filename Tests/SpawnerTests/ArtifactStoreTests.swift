// SPDX-License-Identifier: Apache-2.0
import Glibc
import Kernel
import Spawner
import Testing

@Suite("Kept artifacts")
struct ArtifactStoreTests {
    private static func place() throws -> String {
        var template = Array("/tmp/artifacts-XXXXXX".utf8CString)
        return String(cString: try #require(mkdtemp(&template)))
    }

    /// Makes a file look as if it was kept long ago.
    private static func age(_ path: String, days: Int) {
        let then = time(nil) - days * 86_400
        var times = [
            timespec(tv_sec: then, tv_nsec: 0), timespec(tv_sec: then, tv_nsec: 0),
        ]
        #expect(utimensat(AT_FDCWD, path, &times, 0) == 0)
    }

    @Test("what is too old goes, what is younger stays, and keeping again makes young")
    func expiry() async throws {
        let place = try Self.place()
        defer { #expect(rmdir(place) == 0) }
        let store = try ArtifactStore(path: place)
        var names: [String] = []
        for text in ["old", "young", "old and kept again"] {
            let file = try Descriptor.memory(Array(text.utf8), name: "artifact")
            let kept = try #require(try await store.keep(file, limit: 100))
            names.append(kept.sha256)
        }
        for name in [names[0], names[2]] { Self.age(place + "/" + name, days: 31) }
        let again = try Descriptor.memory(Array("old and kept again".utf8), name: "artifact")
        _ = try await store.keep(again, limit: 100)
        #expect(try await store.expire(olderThan: .seconds(30 * 86_400)) == 1)
        #expect(access(place + "/" + names[0], F_OK) != 0)
        for name in names[1...] {
            #expect(access(place + "/" + name, F_OK) == 0)
            unlink(place + "/" + name)
        }
    }
}
