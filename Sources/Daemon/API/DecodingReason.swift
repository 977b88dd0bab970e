// SPDX-License-Identifier: Apache-2.0

/// A decoder's complaint, in words that name the key.
enum DecodingReason {
    static func text(_ error: DecodingError) -> String {
        switch error {
        case .typeMismatch(let type, let context):
            "\(path(context.codingPath)) is not \(word(for: type))"
        case .valueNotFound(let type, let context):
            "\(path(context.codingPath)) is null, not \(word(for: type))"
        case .keyNotFound(let key, _): "'\(key.stringValue)' is missing"
        case .dataCorrupted(let context):
            context.codingPath.isEmpty
                ? "the body is not JSON in UTF-8"
                : "\(path(context.codingPath)): \(context.debugDescription)"
        @unknown default: "the body is not what this route takes"
        }
    }

    private static func path(_ keys: [any CodingKey]) -> String {
        guard !keys.isEmpty else { return "the body" }
        let text = keys.map { $0.intValue.map { "[\($0)]" } ?? "." + $0.stringValue }.joined()
        return "'" + text.drop { $0 == "." } + "'"
    }

    private static func word(for type: any Any.Type) -> String {
        switch type {
        case is String.Type: "a string"
        case is Bool.Type: "true or false"
        case is any UnsignedInteger.Type: "a whole number of 0 or more"
        case is [String: String].Type, is [String: Any].Type: "an object"
        case is any Collection.Type: "a list"
        default: "an object"
        }
    }
}
