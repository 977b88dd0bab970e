// SPDX-License-Identifier: Apache-2.0
import SystemPackage
import Testing

@testable import DockerAPI

@Suite("Errors of an engine's client") struct ErrorTests {
    @Test("each is one line that begins with its call", arguments: DockerError.Call.allCases)
    func oneLine(call: DockerError.Call) {
        let reasons: [DockerError.Reason] = [
            .invalid("x"), .unreachable(path: "/a\nb", .noSuchFileOrDirectory),
            .unreachable(path: "/x", .connectionRefused),
            .unreachable(path: "/x", .permissionDenied), .unreachable(path: "/x", .notDirectory),
            .unreachable(path: "/x", .resourceTemporarilyUnavailable),
            .unreachable(path: "/x", .tooManyOpenFiles), .notAnEngine("x"), .tooOld("1.40"),
            .tooNew("1.99"), .late(after: .seconds(3)), .silent(for: .milliseconds(1500)),
            .tooLarge(.line, limit: 5), .lost("x"), .answered(status: 500, "x"),
            .answered(status: 500, ""), .reported("x"), .nameTaken("x", said: "y"), .inUse("x"),
            .unreadable("x"), .source(.ioError), .cancelled, .closed,
        ]
        let texts = reasons.map { DockerError(call, $0).description }
        for text in texts {
            #expect(text.hasPrefix("docker \(call.rawValue): "))
            #expect(!text.contains("\n") && !text.hasSuffix(": "))
        }
        #expect(Set(texts).count == texts.count)
    }

    @Test("an engine is blamed for its own troubles, and for nobody else's")
    func blame() {
        #expect(DockerError(.start, .answered(status: 500, "")).blamesEngine)
        #expect(DockerError(.imagePull, .late(after: .seconds(1))).blamesEngine)
        #expect(!DockerError(.create, .answered(status: 404, "no such image")).blamesEngine)
        #expect(!DockerError(.imagePull, .answered(status: 500, "unauthorized")).blamesEngine)
        #expect(!DockerError(.imageImport, .reported("no space")).blamesEngine)
        #expect(!DockerError(.kill, .cancelled).blamesEngine)
    }

    @Test(
        "a quotation is one line of at most 500 bytes, of whatever it is made",
        arguments: [
            ([UInt8]("plain ü 🎈".utf8), "plain ü 🎈"),
            ([0x1b, 0x5b, 0x32, 0x4a], "\\u{1b}[2J"),
            ([0x61, 0x0a, 0x0d, 0x09, 0x00], "a\\n\\r\\t\\u{0}"), ([0xff, 0x61], "\u{fffd}a"),
            ([UInt8]("a\u{202e}b\u{2028}c\u{200b}".utf8), "a\\u{202e}b\\u{2028}c\\u{200b}"),
            ([UInt8](repeating: 0x61, count: 497), String(repeating: "a", count: 497)),
            ([UInt8](repeating: 0x61, count: 9999), String(repeating: "a", count: 497) + "…"),
            ([UInt8](repeating: 0x0a, count: 9999), String(repeating: "\\n", count: 248) + "…"),
        ]
    )
    func visible(bytes: [UInt8], expected: String) {
        #expect(Visible.text(bytes) == expected)
        #expect(Visible.text(bytes).utf8.count <= Visible.limit)
    }
}
