// SPDX-License-Identifier: Apache-2.0
internal import JSON

/// The labels that something must have to be listed.
enum LabelFilter {
    private static let limit = 1024

    /// What the API takes: {"label": ["key=value"]}. Throws for a label that would mean another
    /// one, or none.
    static func parameter(
        _ labels: [String: String],
        _ call: DockerError.Call
    ) throws(DockerError) -> String {
        var texts: [JSONValue] = []
        for (key, value) in labels.sorted(by: { $0.key < $1.key }) {
            guard isValid(key, value) else {
                throw DockerError(
                    call,
                    .invalid(
                        """
                        '\(Visible.text("\(key)=\(value)", limit: 200))' is no label: a key has no \
                        '=' and is not empty, neither has control characters, and both together \
                        are at most \(limit) bytes
                        """
                    )
                )
            }
            texts.append(.string("\(key)=\(value)"))
        }
        let filter = JSONValue.object(["label": .array(texts)])
        return String(decoding: filter.bytes, as: UTF8.self)
    }

    /// Whether something that has the labels `present` has all of `wanted`.
    static func matches(_ wanted: [String: String], _ present: [String: String]) -> Bool {
        wanted.allSatisfy { present[$0.key] == $0.value }
    }

    private static func isValid(_ key: String, _ value: String) -> Bool {
        let bytes = Array(key.utf8) + Array(value.utf8)
        return !key.isEmpty && !key.contains("=") && bytes.count <= limit
            && bytes.allSatisfy(\.isPrintable)
    }
}
