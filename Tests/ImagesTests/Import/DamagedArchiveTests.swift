// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import SystemPackage
import Testing

@testable import Images

/// Archives that are not what they say, or no archives.
@Suite(.timeLimit(.minutes(1))) struct DamagedArchiveTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let layout: ArchiveMaker.Layout
        let problem: String
        let damage: ArchiveMaker.Damage

        init(
            _ name: String,
            _ layout: ArchiveMaker.Layout,
            _ problem: String,
            _ change: (inout ArchiveMaker.Damage) -> Void
        ) {
            testDescription = "\(name), \(layout)"
            self.layout = layout
            self.problem = problem
            var damage = ArchiveMaker.Damage()
            change(&damage)
            self.damage = damage
        }
    }

    private static let other = "sha256:" + String(repeating: "ab", count: 32)

    static let cases: [Case] =
        ArchiveMaker.Layout.allCases.flatMap { layout in
            [
                Case("another processor", layout, "it is for pdp11, and this machine is") {
                    $0.architecture = "pdp11"
                },
                Case("another system", layout, "it is for windows") { $0.system = "windows" },
                Case("a layer with other content", layout, "and the configuration says " + other) {
                    $0.contents = [other, other]
                },
                Case("fewer layers than it says", layout, "names 2 layers, and its configuration 1")
                {
                    $0.contents = [other]
                },
                Case("no layers", layout, "names no layers") { $0.contents = [] },
                Case("a layer by another name", layout, "no sha256 digest") {
                    $0.contents = ["md5:0", "../../etc"]
                },
                Case("two images", layout, "images") { $0.images = 2 },
                Case("no image", layout, "it has ") { $0.images = 0 },
            ]
        } + [
            Case("a layer that is called otherwise", .oci, "layer 2 is called " + other) {
                $0.layerNames = [ArchiveMaker.digest(firstPacked), other]
            },
            Case("a configuration that is called otherwise", .oci, "is called " + other) {
                $0.configName = other
            },
            Case("a size that is not so", .oci, "bytes, and its descriptor says 7") {
                $0.blobSizes = 7
            },
            Case("a layer that is not there", .docker, "layer 2 is not in it") { $0.leavesOut = 1 },
            Case("a layer outside", .docker, "layer 1 is not in it") {
                $0.layerNames = ["../../../../etc/passwd", "/etc/passwd"]
            },
            Case("a configuration that is called otherwise", .docker, "is called " + other) {
                $0.configName = other.dropFirst(7) + ".json"
            },
        ]

    private static var firstPacked: [UInt8] {
        // What the maker packs the first layer to; a test that fails says so.
        (try? ImportTests.layers[0].finished.through("/bin/gzip", ["-c", "-n"])) ?? []
    }

    @Test("an archive that is not what it says is refused, and nothing is left", arguments: cases)
    func refusing(archive: Case) throws {
        let workshop = try Workshop()
        var maker = ArchiveMaker(ImportTests.layers, archive.layout)
        maker.damage = archive.damage
        let error = #expect(throws: ImageError.self) { try workshop.importing(maker) }
        let words = error?.description ?? ""
        #expect(words.contains(archive.problem), "\(words)")
        let left = try workshop.storeListing()
        #expect(left.isEmpty || left == [".build.lock", "names"])
    }

    @Test(
        "what is no archive is refused with what to do",
        arguments: [
            ("", "neither manifest.json nor index.json"),
            ("garbage", "ends in the middle"),
            (String(repeating: "garbage ", count: 100), "it is no tar archive"),
        ]
    )
    func noArchive(text: String, problem: String) throws {
        let workshop = try Workshop()
        let error = #expect(throws: ImageError.self) {
            try workshop.importing(bytes: Array(text.utf8))
        }
        #expect(error?.description.contains(problem) == true, "\(error?.description ?? "")")
        #expect(try workshop.storeListing().isEmpty)
    }

    @Test("a compressed archive says how to decompress it")
    func compressed() throws {
        let workshop = try Workshop()
        let bytes = try ArchiveMaker(ImportTests.layers).bytes().through("/bin/gzip", ["-c"])
        let error = #expect(throws: ImageError.self) { try workshop.importing(bytes: bytes) }
        #expect(error?.description.contains("decompress it first, with 'gzip -d'") == true)
    }

    @Test("an archive that was cut anywhere is refused", arguments: ArchiveMaker.Layout.allCases)
    func cut(layout: ArchiveMaker.Layout) throws {
        let bytes = try ArchiveMaker(ImportTests.layers, layout).bytes()
        for part in 1..<8 {
            let workshop = try Workshop()
            let error = #expect(throws: ImageError.self) {
                try workshop.importing(bytes: Array(bytes.prefix((bytes.count - 2048) * part / 8)))
            }
            guard case .archive = error else {
                Issue.record("cut to \(part)/8, it is \(error?.description ?? "taken")")
                continue
            }
        }
    }

    @Test("a changed byte anywhere is refused, or changes nothing")
    func spoilt() throws {
        let good = try ArchiveMaker(ImportTests.layers, .oci).bytes()
        let workshop = try Workshop()
        let digest = try workshop.importing(bytes: good, as: "good").image.digest
        for at in stride(from: 0, to: good.count, by: max(1, good.count / 60)) {
            var bytes = good
            bytes[at] ^= 0x55
            do {
                let image = try workshop.importing(bytes: bytes, as: "spoilt-\(at)").image
                #expect(image.digest == digest, "byte \(at)")
            } catch let error as ImageError {
                guard case .archive = error else {
                    Issue.record("byte \(at): \(error)")
                    continue
                }
            }
        }
    }

    @Test("a document that nests without end is refused")
    func nesting() throws {
        var tar = TarWriter()
        tar.file("manifest.json", String(repeating: "[", count: 1 << 20))
        let workshop = try Workshop()
        let error = #expect(throws: ImageError.self) { try workshop.importing(bytes: tar.finished) }
        #expect(error?.description.contains("no JSON list") == true)
    }

    @Test("an index that names itself is refused")
    func circle() throws {
        // No document can name its own digest, so the nearest to it: one that is said to be there.
        var tar = TarWriter()
        var inner = #"{"manifests":[]}"#
        for _ in 0..<8 {
            let digest = ArchiveMaker.digest(Array(inner.utf8))
            tar.file("blobs/sha256/\(digest.dropFirst(7))", inner)
            inner = """
                {"manifests":[{"mediaType":"application/vnd.oci.image.index.v1+json",\
                "digest":"\(digest)","size":\(inner.utf8.count)}]}
                """
        }
        tar.file("index.json", inner)
        let workshop = try Workshop()
        let error = #expect(throws: ImageError.self) { try workshop.importing(bytes: tar.finished) }
        #expect(error?.description.contains("nested too deeply") == true)
    }

    @Test("a long document is refused unread")
    func long() throws {
        var tar = TarWriter()
        tar.add("0", "manifest.json", content: [UInt8](repeating: 0x20, count: 5 << 20))
        let workshop = try Workshop()
        let error = #expect(throws: ImageError.self) { try workshop.importing(bytes: tar.finished) }
        #expect(error?.description.contains("5242880 bytes, and 4194304 are read") == true)
    }

    @Test("a FIFO, a directory or nothing in the archive's place is named, and nobody waits")
    func noFile() throws {
        let workshop = try Workshop()
        let fifo = workshop.path.appending("fifo")
        #expect(mkfifo(fifo.string, 0o600) == 0)
        for path in [fifo, workshop.path] {
            let error = #expect(throws: ImageError.self) { try ImageArchive(path) }
            #expect(error?.description.contains("it is no regular file") == true)
        }
        let missing = workshop.path.appending("missing")
        #expect(throws: ImageError.system(doing: "open", missing, .noSuchFileOrDirectory)) {
            try ImageArchive(missing)
        }
    }

    @Test("a name that leads out of the store is refused before anything is made")
    func name() throws {
        let workshop = try Workshop()
        #expect(throws: ImageError.malformedName("../x")) {
            try workshop.importing(ArchiveMaker(ImportTests.layers), as: "../x")
        }
        #expect(try workshop.storeListing().isEmpty)
    }
}
