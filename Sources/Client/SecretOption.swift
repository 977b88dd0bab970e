// SPDX-License-Identifier: Apache-2.0
package import JSON

/// `--secret NAME`, `--secret NAME=HOST:PORT/HEADER` or `--secret NAME=https://HOST:PORT/HEADER`, as
/// the API takes it.
package enum SecretOption {
    /// What is malformed the daemon refuses, by name.
    package static func member(_ text: String) -> JSONValue {
        guard let equals = text.firstIndex(of: "=") else {
            return .object(["name": .string(text)])
        }
        let rest = text[text.index(after: equals)...]
        var member = ["name": JSONValue.string(String(text[..<equals]))]
        if let slash = rest.lastIndex(of: "/") {
            member["header"] = .string(String(rest[rest.index(after: slash)...]))
            member["to"] = .string(String(rest[..<slash]))
        } else {
            member["to"] = .string(String(rest))
        }
        return .object(member)
    }
}
