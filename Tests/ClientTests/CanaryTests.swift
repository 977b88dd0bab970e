// SPDX-License-Identifier: Apache-2.0
import Client
import Crypto
import Foundation
import Testing

/// The vectors that the database and the Python client are held against, too.
private struct Vectors: Decodable {
    struct Vector: Decodable {
        let id: String
        let bucket: Int
    }

    let vectors: [Vector]

    static func load() throws -> [Vector] {
        let path = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "../canary-vectors.json")
        return try JSONDecoder().decode(Vectors.self, from: Data(contentsOf: path)).vectors
    }
}

@Suite("Which tasks a canary takes")
struct CanaryTests {
    @Test("an id falls into the bucket that every other program counts")
    func vectors() throws {
        let vectors = try Vectors.load()
        #expect(vectors.count >= 20)
        for vector in vectors {
            #expect(Canary.bucket(of: vector.id) == vector.bucket, "\(vector.id)")
        }
    }

    @Test("the share of 100,000 ids is within half a point")
    func share() throws {
        let buckets = (0..<100_000).map { Canary.bucket(of: "task-\($0)") }
        for percent in ["0", "1", "10", "50", "99.5", "100"] {
            let canary = try Canary(percent)
            let taken = buckets.count { $0 < canary.hundredths }
            #expect(abs(Double(taken) / 1000 - Double(canary.hundredths) / 100) <= 0.5)
            if percent == "0" { #expect(taken == 0) }
            if percent == "100" { #expect(taken == 100_000) }
        }
    }

    @Test("a larger percentage takes every id that a smaller one took")
    func growing() throws {
        let shares = try ["0", "0.01", "2.5", "10", "50", "100"].map { try Canary($0) }
        for number in 0..<2000 {
            let taken = shares.map { $0.takes("id/\(number)") }
            #expect(taken == taken.sorted { !$0 && $1 }, "id/\(number)")
        }
    }

    @Test(
        "what is no percentage is refused by name",
        arguments: [
            "", "-1", "101", "100.01", "1e1", "+10", " 10", "10 ", "0x10", "nan", "inf", "10.123",
            ".5", "10.", "1,5", "１０", "99999999999999999999",
        ]
    )
    func refused(_ percent: String) {
        let error = #expect(throws: ClientError.self) { try Canary(percent) }
        #expect("\(String(describing: error))".contains("--canary"))
    }

    @Test("an id that is none is refused: empty, not UTF-8, a megabyte")
    func ids() throws {
        for id in ["", "a\u{fffd}b", String(repeating: "x", count: 1 << 20)] {
            #expect(throws: ClientError.self) { try Canary.checkID(id) }
        }
        try Canary.checkID(String(repeating: "x", count: Canary.idLimit))
    }

    @Test("the digest is that of swift-crypto, whatever the length and the pieces")
    func digest() {
        var bytes: [UInt8] = []
        for length in 0..<300 {
            var pieces = SHA256()
            for piece in stride(from: 0, to: bytes.count, by: 7) {
                pieces.update(bytes[piece..<min(piece + 7, bytes.count)])
            }
            let wanted = Array(Crypto.SHA256.hash(data: bytes))
            #expect(pieces.finish() == wanted && SHA256.digest(of: bytes) == wanted, "\(length)")
            bytes.append(UInt8(truncatingIfNeeded: length &* 31))
        }
    }
}

/// Ours, for swift-crypto's has the same name.
private typealias SHA256 = Client.SHA256
