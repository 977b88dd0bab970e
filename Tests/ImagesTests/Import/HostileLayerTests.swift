// SPDX-License-Identifier: Apache-2.0
import Foundation
import SystemPackage
import Testing

@testable import Images

/// Layers that want out of the tree, or too much of the machine.
@Suite(.timeLimit(.minutes(1))) struct HostileLayerTests {
    /// A layer, or two, and what is said of them; nil when they are made harmless.
    struct Attack: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let layers: [TarWriter]
        let problem: String
        var limits = ImportLimits()

        init(
            _ name: String,
            _ problem: String,
            limits: ImportLimits = ImportLimits(),
            _ layers: ((inout TarWriter) -> Void)...
        ) {
            testDescription = name
            self.problem = problem
            self.limits = limits
            self.layers = layers.map { make in
                var tar = TarWriter()
                make(&tar)
                return tar
            }
        }
    }

    static let small = ImportLimits(
        layerBytes: 1 << 20,
        entries: 100,
        room: .init(names: 200, textBytes: 100_000)
    )

    static let long = String(repeating: "n", count: 256)

    static let refused: [Attack] = [
        Attack("a path up", "layer 1: ../x leads out with \"..\"") { $0.file("../x") },
        Attack("a path up in the middle", "leads out") { $0.file("a/../../x") },
        Attack("a whiteout up", "hides nothing that has a name") { $0.file("a/.wh...") },
        Attack("a whiteout of nothing", "hides nothing that has a name") { $0.file("a/.wh.") },
        Attack("a name below a whiteout", "begins with .wh.") { $0.file(".wh.a/b") },
        Attack("a path in a pax header", "leads out") {
            $0.addPax([("path", "../x")])
            $0.file("harmless")
        },
        Attack("a long GNU name up", "leads out") {
            $0.file(String(repeating: "a/", count: 60) + String(repeating: "../", count: 61) + "x")
        },
        Attack("a hard link up", "leads out") { $0.add("1", "x", link: "../../etc/passwd") },
        Attack("a hard link to a file of the host", "to /proc/self/environ: proc is not") {
            $0.add("1", "x", link: "/proc/self/environ")
        },
        Attack("a hard link to a directory", "to d, which is no file that is there") {
            $0.directory("d")
            $0.add("1", "x", link: "d")
        },
        Attack("a hard link through a file", "is a file") {
            $0.file("f")
            $0.add("1", "x", link: "f/y")
        },
        Attack("links in a circle", "leads through too many links") {
            $0.link("a", "b")
            $0.link("b", "a")
            $0.file("a/x")
        },
        Attack("a file below a file", "is a file, and something is below it") {
            $0.file("f")
            $0.file("f/x")
        },
        Attack("the root as a link", "the root is no directory") { $0.link("./", "/etc") },
        Attack("/etc as a link", "etc: is no directory") { $0.link("etc", "/etc") },
        Attack("/var as a link", "var: is no directory") { $0.link("var", "/var") },
        Attack("a link to nothing", "is a link to nothing") { $0.link("x", "") },
        Attack("a link with a long text", "is a link to nothing") {
            $0.link("x", String(repeating: "t", count: 4096))
        },
        Attack("a long name", "a name of more than 255 bytes") { $0.file(long) },
        Attack("a long name in a link's text", "a name of more than 255 bytes") {
            $0.link("x", long)
            $0.file("x/y")
        },
        Attack("a NUL in a name", "has a NUL in it") {
            $0.addPax([("path", "a\0b")])
            $0.file("harmless")
        },
        Attack("a long path", "makes a path too long") {
            $0.file(String(repeating: "dddddddddddd/", count: 160) + "x")
        },
        Attack("deep directories", "directories 512 deep") {
            $0.file(String(repeating: "d/", count: 600) + "x")
        },
        Attack("directories made deep through links", "directories 512 deep") {
            $0.directory(String(repeating: "d/", count: 300))
            $0.link("s", String(repeating: "d/", count: 300))
            $0.file("s/" + String(repeating: "e/", count: 300) + "x")
        },
        Attack("many entries", "it has more than 100 entries", limits: small) { tar in
            for index in 0..<101 { tar.file("same-\(index % 2)") }
        },
        Attack("many names from few entries", "more files, or longer names", limits: small) { tar in
            for index in 0..<50 { tar.file("\(index)/a/b/c/d/e") }
        },
        Attack("long texts from few entries", "more files, or longer names", limits: small) { tar in
            for index in 0..<50 { tar.link("\(index)", String(repeating: "t", count: 4000)) }
        },
        Attack("many headers before one entry", "too many headers") { tar in
            for _ in 0..<9 { tar.addPax([("comment", "x")]) }
            tar.file("x")
        },
        Attack("a large header", "a header of 2000000 bytes") {
            $0.add("x", "pax", size: 2_000_000)
        },
        Attack("more than may be in all", "its layers are larger", limits: small) {
            $0.add("0", "x", content: [UInt8](repeating: 0, count: 2 << 20))
        },
        Attack("a size that is not there", "says that it has 8589934591 bytes") {
            $0.add("0", "x", size: 0o77777777777)
        },
        Attack("a size beyond numbers", "no tar archive, or damaged") {
            $0.add("0", "x", sizeField: [UInt8](repeating: 0xff, count: 12))
        },
        Attack("a size below nothing in a pax header", "size is no number") {
            $0.addPax([("size", "-1")])
            $0.file("x")
        },
        Attack("an endless size in a pax header", "size is no number") {
            $0.addPax([("size", "99999999999999999999")])
            $0.file("x")
        },
        Attack("a pax header that is none", "a header that is damaged") {
            $0.add("x", "pax", content: Array("99 path=x\n".utf8))
            $0.file("x")
        },
        Attack("a name for all", "says what all entries are called") {
            $0.addPax([("path", "x")], type: "g")
            $0.file("y")
        },
        Attack("a header without its entry", "ends in the middle") { $0.addPax([("path", "x")]) },
        Attack("a sparse file", "a sparse file") { $0.add("S", "x") },
        Attack("a sparse file by pax", "a sparse file") {
            $0.addPax([("GNU.sparse.major", "1")])
            $0.file("x")
        },
        Attack("an unknown type", "of the unknown type 'Z'") { $0.add("Z", "x") },
        Attack("a wrong checksum", "damaged at byte 512") {
            $0.directory("a")
            $0.file("x")
            $0.spoil(-1)
        },
        Attack("an upper layer that goes wrong", "layer 2: ../x leads out", { $0.file("x") }) {
            $0.file("../x")
        },
    ]

    @Test(
        "what leads out of the tree, or is too much, is refused, and nothing is left",
        arguments: refused
    )
    func refusing(attack: Attack) throws {
        let workshop = try Workshop()
        let error = #expect(throws: ImageError.self) {
            try workshop.importing(ArchiveMaker(attack.layers), limits: attack.limits)
        }
        let words = error?.description ?? ""
        #expect(words.contains(attack.problem), "\(words)")
        #expect(try workshop.storeListing() == [".build.lock", "names"])
        #expect(try workshop.store.list().isEmpty)
    }

    @Test(
        "links that lead to the host's files do not: what is written through them stays inside",
        arguments: [true, false]
    )
    func throughLinks(inOneLayer: Bool) throws {
        let workshop = try Workshop()
        try workshop.write("outside/file", "untouched")
        let outside = workshop.path.appending("outside").string
        var links = TarWriter()
        links.link("absolute", outside)
        links.link("up", String(repeating: "../", count: 30) + outside.dropFirst())
        links.link("file", outside + "/file")
        var writes = inOneLayer ? links : TarWriter()
        writes.file("absolute/file", "in")
        writes.file("up/new", "in")
        writes.file("file", "in")
        writes.file("absolute/.wh.file2")
        writes.file(outside + "/absolute", "in")
        let layers = inOneLayer ? [writes] : [links, writes]
        let root = try workshop.importing(ArchiveMaker(layers)).image.rootfs
        #expect(try names(in: workshop.path.appending("outside")).map(\.string) == ["file"])
        #expect(try readText(workshop.path.appending("outside/file")) == "untouched")
        #expect(try readText(root.appending("file")) == "in")
    }

    @Test("setuid, devices, sockets of old and modes that lock out are made harmless")
    func harmless() throws {
        var layer = TarWriter()
        layer.add("0", "su", content: [1], mode: 0o6755)
        layer.add("0", "secret", content: [1], mode: 0o000)
        layer.add("5", "closed/", mode: 0o000)
        layer.file("closed/file", "x")
        layer.add("3", "closed/mem")
        layer.add("4", "disk")
        layer.add("6", "fifo")
        // Over a file that is there: gone with it.
        layer.file("device")
        layer.add("3", "device")
        let workshop = try Workshop()
        let outcome = try workshop.importing(ArchiveMaker([layer]))
        #expect(outcome.specialCount == 4)
        let root = outcome.image.rootfs
        for (name, mode) in [("su", 0o755), ("secret", 0o644), ("closed", 0o755)] {
            #expect(try Int(TreeEntry(root.appending(name), name: []).mode) == mode, "\(name)")
        }
        #expect(try names(in: root.appending("closed")).map(\.string) == ["file"])
        for name in ["disk", "fifo", "device"] {
            #expect(throws: ImageError.self) { try TreeEntry(root.appending(name), name: []) }
        }
    }

    @Test("the host's packages are not counted through a link of the image's")
    func packages() throws {
        var layer = TarWriter()
        layer.directory("var")
        layer.link("var/lib", "/var/lib")
        let workshop = try Workshop()
        #expect(try workshop.importing(ArchiveMaker([layer])).image.facts.packageCount == 0)
        var real = TarWriter()
        real.file("var/lib/dpkg/status", "Package: a\nStatus: install ok installed\n")
        let outcome = try workshop.importing(ArchiveMaker([real]), as: "real")
        #expect(outcome.image.facts.packageCount == 1)
    }

    @Test("a layer that decompresses to more than is allowed is stopped on the way")
    func bomb() throws {
        let workshop = try Workshop()
        var layer = TarWriter()
        layer.add("0", "zeros", content: [UInt8](repeating: 0, count: 8 << 20))
        let maker = ArchiveMaker([layer], .oci)
        let error = #expect(throws: ImageError.self) {
            try workshop.importing(maker, limits: Self.small)
        }
        #expect(error?.description.contains("its layers are larger") == true)
        #expect(try workshop.storeListing() == [".build.lock", "names"])
    }
}
