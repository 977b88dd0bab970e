// SPDX-License-Identifier: Apache-2.0
package import JSON

/// Two runs of the same command, held against each other.
package struct Comparison: Sendable, Hashable {
    /// The run that counted.
    package let counted: Observation
    /// The one beside it.
    package let shadow: Observation
    /// Where each of the two ran, in words: "on the host", "in the sandbox".
    package let places: Places

    /// Names for a person.
    package struct Places: Sendable, Hashable {
        package let counted: String
        package let shadow: String

        package init(counted: String, shadow: String) {
            self.counted = counted
            self.shadow = shadow
        }
    }

    package init(_ counted: Observation, _ shadow: Observation, _ places: Places) {
        self.counted = counted
        self.shadow = shadow
        self.places = places
    }

    /// In what they differ, a line each; none: they agree. What was not seen of one is not compared.
    /// Standard error is left out: it is for people, and full of times and addresses.
    package var differences: [String] {
        var lines: [String] = []
        if counted.status != shadow.status {
            lines.append(
                "exit: \(Self.ending(counted)) \(places.counted), \(Self.ending(shadow)) "
                    + places.shadow
            )
        }
        if let mine = counted.output?.sha256, let other = shadow.output?.sha256, mine != other {
            lines.append(
                "stdout: \(counted.output?.bytes ?? 0) bytes \(places.counted), "
                    + "\(shadow.output?.bytes ?? 0) bytes \(places.shadow), not the same"
            )
        }
        if let mine = counted.artifacts, let other = shadow.artifacts {
            for path in Set(mine.keys).union(other.keys).sorted() where mine[path] != other[path] {
                let words =
                    mine[path] == nil
                    ? "only \(places.shadow)"
                    : other[path] == nil ? "only \(places.counted)" : "not the same"
                lines.append("artifact \(path): \(words)")
            }
        }
        return lines
    }

    /// As the API takes it.
    package var members: [String: JSONValue] {
        [
            "counted": counted.json, "shadow": shadow.json,
            "counted_place": .string(places.counted), "shadow_place": .string(places.shadow),
            "differences": .array(differences.prefix(100).map(JSONValue.string)),
        ]
    }

    private static func ending(_ side: Observation) -> String {
        side.status.map(String.init) ?? side.verdict ?? "unknown"
    }
}
