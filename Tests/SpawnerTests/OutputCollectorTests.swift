// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Spawner

/// Keeps everything, and cuts when asked: too simple to be wrong.
private struct NaiveCollector {
    var all: [UInt8] = []
    let limit: Int

    var kept: KeptOutput {
        var output = KeptOutput()
        guard all.count > limit else {
            output.head = all
            return output
        }
        output.head = Array(all.prefix(limit - limit / 2))
        output.tail = Array(all.suffix(limit / 2))
        output.droppedBytes = UInt64(all.count - limit)
        return output
    }
}

@Suite("What is kept of an output stream")
struct OutputCollectorTests {
    private func collect(_ pieces: [String], limit: UInt64) -> (OutputCollector, heads: [Int]) {
        var collector = OutputCollector(limit: limit)
        let heads = pieces.map { piece in
            Array(piece.utf8).withUnsafeBytes { collector.add($0) }
        }
        return (collector, heads)
    }

    @Test(
        "head and tail are kept, and the gap between them is counted",
        arguments: [
            ([], 4, "", "", 0), (["abc"], 4, "abc", "", 0), (["abcd"], 4, "abcd", "", 0),
            (["abcde"], 4, "ab", "de", 1), (["a", "b", "c", "d", "e"], 4, "ab", "de", 1),
            (["abcdefgh"], 5, "abc", "gh", 3), (["abc", "defghij"], 5, "abc", "ij", 5),
            (["abcde"], 1, "a", "", 4), (["abc"], 0, "", "", 3),
            (["ab", "", "cd"], 4, "abcd", "", 0),
        ]
    )
    func table(pieces: [String], limit: Int, head: String, tail: String, dropped: UInt64) {
        let (collector, _) = collect(pieces, limit: UInt64(limit))
        #expect(String(decoding: collector.kept.head, as: UTF8.self) == head)
        #expect(String(decoding: collector.kept.tail, as: UTF8.self) == tail)
        #expect(collector.kept.droppedBytes == dropped)
        #expect(collector.totalBytes == UInt64(pieces.joined().utf8.count))
    }

    @Test("each piece tells how much of it belongs to the head")
    func heads() {
        #expect(collect(["ab", "cd", "ef"], limit: 6).heads == [2, 1, 0])
        #expect(collect(["abcdef"], limit: 6).heads == [3])
    }

    @Test("against a collector that keeps everything, on random pieces", arguments: 0..<200)
    func random(seed: Int) {
        var generator = SplitMix(state: UInt64(seed))
        let limit = Int.random(in: 0...40, using: &generator)
        var collector = OutputCollector(limit: UInt64(limit))
        var naive = NaiveCollector(limit: limit)
        for _ in 0..<Int.random(in: 0...30, using: &generator) {
            let count = Int.random(in: 0...25, using: &generator)
            let piece = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
            piece.withUnsafeBytes { _ = collector.add($0) }
            naive.all += piece
            #expect(collector.kept == naive.kept)
        }
    }
}

/// Random numbers that a seed fixes (Steele, Lea and Flood, 2014).
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
