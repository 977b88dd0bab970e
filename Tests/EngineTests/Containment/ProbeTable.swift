// SPDX-License-Identifier: Apache-2.0
import Yams

/// The containment probes, as `Tests/Probes/probes.yaml` lists them.
///
/// Reading is strict: an unknown key, layer, oracle, verdict or errno is an error, and so is a row
/// that proves nothing.
struct ProbeTable: Decodable, Sendable {
    /// What each oracle looks at, in words. Every case of `ProbeOracle` has its entry.
    let oracles: [ProbeOracle: String]

    /// The rows, in the file's order.
    let probes: [Probe]

    /// Reads the table from `yaml`.
    init(yaml: String) throws {
        self = try YAMLDecoder().decode(ProbeTable.self, from: yaml)
    }

    init(from decoder: any Decoder) throws {
        let values = try StrictContainer<Key>(decoder)
        let words: [String: String] = try values.value(.oracles)
        var oracles: [ProbeOracle: String] = [:]
        for (word, description) in words {
            guard let oracle = ProbeOracle(rawValue: word) else {
                throw ProbeTableError.unknownOracle(word)
            }
            oracles[oracle] = description
        }
        self.oracles = oracles
        probes = try values.value(.probes)
        try check()
    }

    private enum Key: String, CodingKey, CaseIterable {
        case oracles
        case probes
    }

    /// Holds the rows against each other and against what they must prove.
    private func check() throws {
        for oracle in ProbeOracle.allCases where oracles[oracle] == nil {
            throw ProbeTableError.undescribed(oracle)
        }
        var ids: Set<String> = []
        for probe in probes {
            guard ids.insert(probe.id).inserted else {
                throw ProbeTableError.row(probe.id, "is there twice")
            }
            try probe.check()
        }
    }

    /// The layers that no control run leaves out: switched off, each would go unnoticed.
    var layersWithoutControl: [ProbeLayer] {
        let covered = Set(probes.flatMap { $0.control?.without ?? [] })
        return ProbeLayer.allCases.filter { !covered.contains($0) }
    }
}

/// Why the table cannot be used.
enum ProbeTableError: Error, CustomStringConvertible {
    case unknownKey(String, path: String)
    case unknownOracle(String)
    case undescribed(ProbeOracle)
    case row(String, String)
    case unknownPlaceholder(String)

    var description: String {
        switch self {
        case .unknownKey(let key, let path): "unknown key \(key) in \(path)"
        case .unknownOracle(let word): "unknown oracle \(word)"
        case .undescribed(let oracle): "oracle \(oracle.rawValue) is not described"
        case .row(let id, let problem): "\(id) \(problem)"
        case .unknownPlaceholder(let name): "nobody knows the value of ${\(name)}"
        }
    }
}

/// A keyed container that refuses the keys it does not know.
struct StrictContainer<Key: CodingKey & CaseIterable> {
    private let values: KeyedDecodingContainer<Key>

    init(_ decoder: any Decoder) throws {
        values = try decoder.container(keyedBy: Key.self)
        let known = Set(Key.allCases.map(\.stringValue))
        for key in try decoder.container(keyedBy: AnyKey.self).allKeys
        where !known.contains(key.stringValue) {
            let path = decoder.codingPath.map(\.stringValue).joined(separator: ".")
            throw ProbeTableError.unknownKey(key.stringValue, path: path)
        }
    }

    /// A value that must be there.
    func value<Value: Decodable>(_ key: Key) throws -> Value {
        try values.decode(Value.self, forKey: key)
    }

    /// A value that need not be there.
    func optional<Value: Decodable>(_ key: Key) throws -> Value? {
        try values.decodeIfPresent(Value.self, forKey: key)
    }

    private struct AnyKey: CodingKey {
        let stringValue: String
        let intValue: Int? = nil

        init(stringValue: String) {
            self.stringValue = stringValue
        }

        init?(intValue: Int) {
            nil
        }
    }
}
