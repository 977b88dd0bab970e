// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import DockerAPI

@Suite("Answers on their way in") struct IntakeTests {
    private static func intake(
        byLine: Bool,
        _ limits: CallLimits = .question
    ) throws -> AnswerIntake {
        var intake = AnswerIntake(limits: limits, byLine: byLine)
        try intake.header(Array("HTTP/1.1 200 OK\r\n".utf8))
        try intake.header(Array("Content-Type:  application/json \r\n".utf8))
        try intake.header(Array("\r\n".utf8))
        return intake
    }

    /// The lines that come out when the text is cut at random.
    private static func lines(_ text: String, seed: Int) throws -> [String] {
        var random = SplitMix(state: UInt64(seed))
        var intake = try intake(byLine: true)
        var lines: [String] = []
        let take = { (line: ArraySlice<UInt8>) throws(DockerError.Reason) in
            lines.append(String(decoding: line, as: UTF8.self))
        }
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let piece = Array(rest.prefix(Int.random(in: 0...7, using: &random)))
            rest = rest.dropFirst(piece.count)
            try piece.withUnsafeBytes { bytes in try intake.body(bytes, take) }
        }
        try intake.end(take)
        return lines
    }

    @Test("lines are the same however they are cut", arguments: 0..<200)
    func cuts(seed: Int) throws {
        let text = "one\r\n\ntwo\n\r\nthr\ree\r\n\u{1F388}\nlast"
        #expect(try Self.lines(text, seed: seed) == ["one", "two", "thr\ree", "\u{1F388}", "last"])
    }

    @Test("a limit is reached by the first byte too many, and not before")
    func limits() throws {
        var limits = CallLimits.question
        limits.bodyBytes = 100
        limits.lineBytes = 10
        var body = try Self.intake(byLine: false, limits)
        let hundred = [UInt8](repeating: 7, count: 100)
        try hundred.withUnsafeBytes { bytes in try body.body(bytes) { _ in } }
        #expect(body.answer.body == hundred)
        #expect(throws: DockerError.Reason.tooLarge(.body, limit: 100)) {
            try [UInt8(1)].withUnsafeBytes { bytes in try body.body(bytes) { _ in } }
        }
        var line = try Self.intake(byLine: true, limits)
        try Array("0123456789\n0123456789".utf8).withUnsafeBytes { bytes in
            try line.body(bytes) { _ in }
        }
        #expect(throws: DockerError.Reason.tooLarge(.line, limit: 10)) {
            try [UInt8(1)].withUnsafeBytes { bytes in try line.body(bytes) { _ in } }
        }
    }

    @Test("an interim answer is forgotten, and its bytes are counted")
    func interim() throws {
        var limits = CallLimits.question
        limits.headerBytes = 100
        var intake = AnswerIntake(limits: limits, byLine: false)
        try intake.header(Array("HTTP/1.1 100 Continue\r\n".utf8))
        try intake.header(Array("Server: one\r\n".utf8))
        try intake.header(Array("\r\n".utf8))
        #expect(intake.hasWholeHeader)
        try intake.header(Array("HTTP/1.1 204 No Content\r\n".utf8))
        #expect(!intake.hasWholeHeader)
        #expect(intake.answer.header == EngineAnswer.Header(status: 204))
        #expect(throws: DockerError.Reason.tooLarge(.header, limit: 100)) {
            try intake.header([UInt8](repeating: 0x61, count: 38))
        }
    }

    @Test("a refusal is kept whole, to be quoted, though lines were wanted")
    func refusal() throws {
        var intake = AnswerIntake(limits: .question, byLine: true)
        try intake.header(Array("HTTP/1.1 500 Oh\r\n".utf8))
        try Array("{\n}".utf8).withUnsafeBytes { bytes in
            try intake.body(bytes) { _ in Issue.record("a line was handed out") }
        }
        #expect(intake.answer.body == Array("{\n}".utf8))
    }
}

/// Random numbers that are the same each time (Steele, Lea and Flood, 2014).
private struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
