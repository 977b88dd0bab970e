// SPDX-License-Identifier: Apache-2.0
import CChannel
import Glibc
import Kernel
import Policy
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

    @Test(
        "what is no errno of the kernel's does not decode",
        arguments: [-1, 4096, Int32.max, .min, -13]
    )
    func impossibleError(error: Int32) {
        let failed = sbx_failed(header: .init(), step: SBX_STEP_PROC.rawValueInt, error: error)
        #expect(Forgery.message(Forgery.bytes(SBX_FAILED.rawValue, failed)) == nil)
        var denied = sbx_denied()
        denied.error = error
        #expect(Forgery.message(Forgery.bytes(SBX_DENIED.rawValue, denied)) == nil)
    }

    @Test("a step cannot fail without an errno, and a call can be let through")
    func noError() throws {
        let failed = sbx_failed(header: .init(), step: SBX_STEP_PROC.rawValueInt, error: 0)
        #expect(Forgery.message(Forgery.bytes(SBX_FAILED.rawValue, failed)) == nil)
        let message = Forgery.message(Forgery.bytes(SBX_DENIED.rawValue, sbx_denied()))
        guard case .seen(let call) = try #require(message) else {
            Issue.record("\(message as Any)")
            return
        }
        #expect(call.errno == nil)
    }

    @Test("however many calls init says there were, a whole report of them can be added up")
    func enormousCounts() throws {
        var denied = sbx_denied()
        denied.count = .max
        denied.unrecorded = .max
        let call = try #require(SeenCall(denied))
        #expect(!call.count.multipliedReportingOverflow(by: 1024).overflow)
        var result = Consequence.result
        result.calls = [call, call]
        #expect(result.unrecordedCalls == call.unrecorded)
    }

    @Test("the job's time is no longer than what passed here")
    func wallTime() {
        for (said, taken) in [(UInt64.max, UInt64(5)), (6, 5), (5, 5), (3, 3), (0, 0)] {
            let ending = Consequence.ending(wallNanoseconds: said).within(wallNanoseconds: 5)
            #expect(ending.wallNanoseconds == taken)
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

    @Test("random bytes never trap, nor does what becomes of them", arguments: 0..<100)
    func random(seed: Int) throws {
        var generator = SplitMix(state: UInt64(seed))
        for _ in 0..<200 {
            let bytes = Self.randomBytes(&generator)
            if let message = Forgery.message(bytes) { try Consequence.follow(message) }
        }
    }

    /// Half of them have a header, most of those the length of their struct. Extreme numbers are where
    /// arithmetic traps, so bytes come in fours of a kind.
    private static func randomBytes(_ generator: inout SplitMix) -> [UInt8] {
        let sizes: [(sbx_message, Int)] = [
            (SBX_READY, MemoryLayout<sbx_signal>.size), (SBX_FAILED, MemoryLayout<sbx_failed>.size),
            (SBX_ENDED, MemoryLayout<sbx_ended>.size), (SBX_DENIED, MemoryLayout<sbx_denied>.size),
            (SBX_REFUSED, MemoryLayout<sbx_refused>.size + 3),
            (SBX_BYE, MemoryLayout<sbx_bye>.size),
        ]
        let (type, size) = sizes.randomElement(using: &generator) ?? sizes[0]
        let isFitting = Int.random(in: 0..<4, using: &generator) > 0
        let count = isFitting ? size : Int.random(in: 0...120, using: &generator)
        var bytes: [UInt8] = []
        while bytes.count < count {
            let random = UInt8.random(in: 0...255, using: &generator)
            let four: [[UInt8]] = [
                [0, 0, 0, 0], [255, 255, 255, 255], [0, 0, 0, 128], [255, 255, 255, 127],
                [random, 0, 0, 0], [random, random &+ 1, random &* 3, random &* 7],
            ]
            bytes += four.randomElement(using: &generator) ?? []
        }
        bytes = Array(bytes.prefix(count))
        if count >= 8, Bool.random(using: &generator) {
            let header = sbx_header(
                protocol: UInt16(SBX_PROTOCOL),
                type: UInt16(type.rawValue),
                length: UInt32(count)
            )
            withUnsafeBytes(of: header) { bytes.replaceSubrange(0..<8, with: $0) }
        }
        return bytes
    }
}

/// What the daemon makes of a message, up to the numbers of a report.
private enum Consequence {
    static var result: RunResult {
        RunResult(attempt: .make(milliseconds: 0), profile: "", engine: "", imageDigest: "")
    }

    static func ending(wallNanoseconds: UInt64) -> Ending {
        Ending(
            waitStatus: 0,
            reasons: 0,
            workspaceBytes: 0,
            workspaceInodes: 0,
            workspaceBytesFree: 0,
            workspaceInodesFree: 0,
            wallNanoseconds: wallNanoseconds
        )
    }

    /// Goes with a message where a sandbox goes with it.
    static func follow(_ message: InitMessage) throws {
        switch message {
        case .failed(let step, let code):
            let evidence = SpawnError.step(step, code).evidence
            #expect(evidence.contains(Evidence("errno", UInt64(code.rawValue))))
        case .ended(let ending):
            try judge(ending)
            try judge(ending.within(wallNanoseconds: 1 << 40))
        case .seen(let call):
            var result = result
            result.calls = [call, call]
            #expect(result.unrecordedCalls == call.unrecorded)
            #expect((1...4095).contains(call.errno ?? 1))
            #expect(call.arguments.count <= 6 && call.program.count <= 16)
        case .ready, .listener, .artifact, .refused, .bye: break
        }
    }

    private static func judge(_ ending: Ending) throws {
        let judgement = Judgement(
            limits: try Limits { (limit: Limit) throws(Errno) in limit.allowed.lowerBound },
            ending: ending,
            counters: CgroupCounters(),
            outputBytes: 0,
            isOutputExceeded: false
        )
        let (verdict, evidence) = judgement.verdict()
        #expect(!verdict.word.isEmpty && evidence.count < 10)
    }
}

extension sbx_step {
    /// As messages carry it.
    fileprivate var rawValueInt: Int32 { Int32(bitPattern: rawValue) }
}
