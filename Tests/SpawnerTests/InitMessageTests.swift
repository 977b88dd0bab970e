// SPDX-License-Identifier: Apache-2.0
import CChannel
import Glibc
import Kernel
import SystemPackage
import Testing

@testable import Spawner

/// Packets as a lying init could send them.
private enum Forgery {
    /// A message: its struct with the header filled in, then `trailing`.
    static func bytes<Message: BitwiseCopyable>(
        _ type: UInt32,
        _ message: Message,
        trailing: [UInt8] = [],
        protocol version: UInt16? = nil,
        length: Int? = nil
    ) -> [UInt8] {
        var bytes = withUnsafeBytes(of: message) { Array($0) } + trailing
        let header = sbx_header(
            protocol: version ?? UInt16(SBX_PROTOCOL),
            type: UInt16(type),
            length: UInt32(length ?? bytes.count)
        )
        withUnsafeBytes(of: header) { bytes.replaceSubrange(0..<$0.count, with: $0) }
        return bytes
    }

    static func packet(
        _ bytes: [UInt8],
        descriptors: [Descriptor] = [],
        pid: Int32 = 7
    ) -> Packet? {
        Packet(bytes: bytes, descriptors: descriptors, senderPid: pid)
    }

    static func message(
        _ bytes: [UInt8],
        descriptors: [Descriptor] = [],
        pid: Int32 = 7
    ) -> InitMessage? {
        packet(bytes, descriptors: descriptors, pid: pid).flatMap { InitMessage($0) }
    }
}

/// A path that prints without its control characters.
struct PathText: Sendable, CustomTestStringConvertible {
    let text: String
    var testDescription: String { text.debugDescription }
}

@Suite("What init says is not believed")
struct InitMessageTests {
    private static let failed = sbx_failed(
        header: .init(),
        step: SBX_STEP_PROC.rawValueInt,
        error: 13
    )

    @Test("a header that is short, of another protocol, or wrong about the length is no packet")
    func headers() {
        let whole = Forgery.bytes(SBX_FAILED.rawValue, Self.failed)
        #expect(Forgery.packet(whole) != nil)
        for count in 0..<8 { #expect(Forgery.packet(Array(whole.prefix(count))) == nil) }
        let other = UInt16(SBX_PROTOCOL) + 1
        let foreign = Forgery.bytes(SBX_FAILED.rawValue, Self.failed, protocol: other)
        #expect(Forgery.packet(foreign) == nil)
        for wrong in [0, 1, whole.count - 1, whole.count + 1, Int(UInt32.max)] {
            let lying = Forgery.bytes(SBX_FAILED.rawValue, Self.failed, length: wrong)
            #expect(Forgery.packet(lying) == nil)
        }
    }

    @Test("a message that is too short or too long for its struct does not decode")
    func truncated() {
        for type in [SBX_FAILED, SBX_ENDED] {
            for count in [8, 9, 11, 15, 17, 55, 57] {
                let bytes = Forgery.bytes(
                    type.rawValue,
                    sbx_header(),
                    trailing: [UInt8](repeating: 1, count: count - 8)
                )
                if case .some(let message) = Forgery.message(bytes) {
                    Issue.record("\(count) bytes of type \(type.rawValue) are \(message)")
                }
            }
        }
        for type in [SBX_ARTIFACT, SBX_REFUSED] {
            for count in 8..<24 {
                let bytes = Forgery.bytes(
                    type.rawValue,
                    sbx_header(),
                    trailing: [UInt8](repeating: 1, count: count - 8)
                )
                if case .some(let message) = Forgery.message(bytes) {
                    Issue.record("\(count) bytes of type \(type.rawValue) are \(message)")
                }
            }
        }
    }

    @Test("only init's own messages decode: no type of the daemon's, and none that is unknown")
    func types() {
        let own = [
            SBX_READY, SBX_FAILED, SBX_ENDED, SBX_ARTIFACT, SBX_REFUSED, SBX_BYE, SBX_LISTENER,
        ]
        let known = Set(own.map { $0.rawValue })
        for type in UInt32(0)...70 where !known.contains(type) {
            #expect(Forgery.message(Forgery.bytes(type, sbx_header())) == nil)
        }
        #expect(Forgery.message(Forgery.bytes(0xffff, sbx_header())) == nil)
    }

    @Test("a step that nobody knows does not decode", arguments: [-1, 35, 1000, Int32.max, .min])
    func unknownStep(step: Int32) {
        let bytes = Forgery.bytes(
            SBX_FAILED.rawValue,
            sbx_failed(header: .init(), step: step, error: 1)
        )
        #expect(Forgery.message(bytes) == nil)
    }

    @Test("a known step comes with its errno")
    func knownStep() throws {
        let message = Forgery.message(Forgery.bytes(SBX_FAILED.rawValue, Self.failed))
        guard case .failed(.proc, .permissionDenied) = try #require(message) else {
            Issue.record("\(message as Any)")
            return
        }
    }

    @Test("READY without a sender that the kernel names does not decode", arguments: [0, -1, -7])
    func readyOfNobody(pid: Int32) {
        #expect(Forgery.message(Forgery.bytes(SBX_READY.rawValue, sbx_signal()), pid: pid) == nil)
    }

    @Test("READY names its sender by the kernel's credentials, not by its words")
    func ready() throws {
        let message = Forgery.message(Forgery.bytes(SBX_READY.rawValue, sbx_signal()), pid: 4711)
        guard case .ready(4711) = try #require(message) else {
            Issue.record("\(message as Any)")
            return
        }
    }

    @Test("an artifact without a descriptor or a path does not decode")
    func bareArtifact() throws {
        let file = try Descriptor.memory([], name: "artifact")
        let artifact = sbx_artifact(header: .init(), bytes: 1, mode: 0o644, padding: 0)
        let whole = Forgery.bytes(SBX_ARTIFACT.rawValue, artifact, trailing: Array("a".utf8))
        #expect(Forgery.message(whole) == nil)
        let nameless = Forgery.bytes(SBX_ARTIFACT.rawValue, artifact)
        #expect(Forgery.message(nameless, descriptors: [file]) == nil)
        #expect(Forgery.message(whole, descriptors: [file]) != nil)
    }

    @Test(
        "an artifact's path is below the results, whatever init says",
        arguments: [
            "a\u{0}b", "\u{0}", "/etc/passwd", "..", "../x", "a/../../x", "a/..", "a//b", "a/", ".",
            "./a",
        ].map(PathText.init)
    )
    func artifactPath(path: PathText) throws {
        let file = try Descriptor.memory([], name: "artifact")
        let artifact = sbx_artifact(header: .init(), bytes: 1, mode: 0o644, padding: 0)
        let bytes = Forgery.bytes(SBX_ARTIFACT.rawValue, artifact, trailing: Array(path.text.utf8))
        #expect(Forgery.message(bytes, descriptors: [file]) == nil)
    }

    @Test("an artifact's mode is permission bits only")
    func artifactMode() throws {
        let file = try Descriptor.memory([], name: "artifact")
        let artifact = sbx_artifact(header: .init(), bytes: 1, mode: 0o104_755, padding: 0)
        let bytes = Forgery.bytes(SBX_ARTIFACT.rawValue, artifact, trailing: Array("a".utf8))
        guard case .artifact(_, 0o755, _) = Forgery.message(bytes, descriptors: [file]) else {
            Issue.record("the mode has more than permission bits")
            return
        }
    }

    @Test("a refusal for a reason that nobody knows does not decode", arguments: [0, 8, .max])
    func unknownReason(reason: UInt32) {
        let refused = sbx_refused(header: .init(), bytes: 0, reason: reason, padding: 0)
        let bytes = Forgery.bytes(SBX_REFUSED.rawValue, refused, trailing: Array("a".utf8))
        #expect(Forgery.message(bytes) == nil)
    }

    @Test("random bytes never trap", arguments: 0..<100)
    func random(seed: Int) {
        var generator = SplitMix(state: UInt64(seed))
        for _ in 0..<50 {
            let count = Int.random(in: 0...96, using: &generator)
            var bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
            if count >= 8, Bool.random(using: &generator) {
                let type = UInt16.random(in: 30...40, using: &generator)
                let header = sbx_header(
                    protocol: UInt16(SBX_PROTOCOL),
                    type: type,
                    length: UInt32(count)
                )
                withUnsafeBytes(of: header) { bytes.replaceSubrange(0..<8, with: $0) }
            }
            _ = Forgery.message(bytes)
        }
    }
}

extension sbx_step {
    /// As messages carry it.
    fileprivate var rawValueInt: Int32 { Int32(bitPattern: rawValue) }
}
