// SPDX-License-Identifier: Apache-2.0
internal import Yams

/// Why a YAML file was refused.
package struct DocumentError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The file, as it was named by whoever asked.
    package let file: String

    /// The line at fault, from 1.
    package let line: Int

    /// The path of keys to what is at fault: `user.uid`, `packages[2]`; empty for the whole file.
    package let key: String

    /// What is wrong, and what to write instead.
    package let problem: String

    package var description: String {
        "\(file):\(line): " + (key.isEmpty ? "" : "\(key): ") + problem
    }
}

extension DocumentError {
    /// What the YAML parser says, in one line.
    init(_ error: any Error, file: String) {
        let line: Int
        let problem: String
        switch error as? YamlError {
        case .scanner(_, let text, let mark, _), .parser(_, let text, let mark, _),
            .composer(_, let text, let mark, _):
            line = mark.line
            problem = text
        case .duplicatedKeysInMapping(let keys, let context):
            line = context.mark.line
            problem = "\(keys.sorted().joined(separator: ", ")): is there twice"
        default:
            line = 1
            problem = "is no YAML"
        }
        self.init(file: file, line: line, key: "", problem: problem)
    }
}
