// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import Spawner

/// The C header, read as text: the compiler checks neither that Swift has all of an enum's cases
/// nor that it has no more.
private struct ChannelHeader {
    private let text: String

    init() throws {
        let file = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "../../Sources/CChannel/include/CChannel.h")
        text = try String(contentsOf: file, encoding: .utf8)
    }

    /// The names and values of one enum, without the prefix, in lower camel case.
    func enumeration(_ name: String, prefix: String) throws -> [String: Int32] {
        let start = try #require(text.range(of: "enum \(name) {"))
        let end = try #require(text.range(of: "};", range: start.upperBound..<text.endIndex))
        var values: [String: Int32] = [:]
        for line in text[start.upperBound..<end.lowerBound].split(separator: "\n") {
            let parts = line.split(separator: "=").map { $0.trimmingCharacters(in: .whitespaces) }
            guard parts.count == 2, parts[0].hasPrefix(prefix) else { continue }
            let value = parts[1].trimmingCharacters(in: CharacterSet(charactersIn: ","))
            // The sum of all the others, which is no member of its own.
            if parts[0].hasSuffix("_ALL") { continue }
            let words = parts[0].dropFirst(prefix.count).lowercased().split(separator: "_")
            let camel = words.prefix(1) + words.dropFirst().map { $0.capitalized[...] }
            let number: Int32 = try #require(Self.number(value), "\(line)")
            values[camel.joined()] = number
        }
        return values
    }

    /// `7`, or `1u << 7`.
    private static func number(_ text: String) -> Int32? {
        let parts = text.components(separatedBy: "u << ").compactMap { Int32($0) }
        switch parts.count {
        case 1: return parts[0]
        case 2: return parts[0] << parts[1]
        default: return nil
        }
    }
}

@Suite("The two languages' lists")
struct ChannelListTests {
    @Test("every step of init has its case in Swift, by name and number, and Swift has no other")
    func steps() throws {
        let c = try ChannelHeader().enumeration("sbx_step", prefix: "SBX_STEP_")
        let swift = Dictionary(uniqueKeysWithValues: Step.allCases.map { ("\($0)", $0.rawValue) })
        #expect(c == swift)
    }

    @Test("every layer of init has its case in Swift, by name and bit, and Swift has no other")
    func layers() throws {
        let c = try ChannelHeader().enumeration("sbx_layer", prefix: "SBX_LAYER_")
        let swift = Dictionary(
            uniqueKeysWithValues: Layer.allCases.map { ("\($0)", Int32(bitPattern: $0.bit)) }
        )
        #expect(c == swift)
    }

    @Test("leaving a layer out clears its bit and no other", arguments: Layer.allCases)
    func leavingOut(layer: Layer) {
        let layers = Layers(without: [layer])
        #expect(layers.missing == [layer])
        #expect(Layers().bits & ~layers.bits == layer.bit)
    }

    @Test("all layers are on unless somebody asks")
    func allOn() {
        #expect(Layers().missing.isEmpty)
    }
}
