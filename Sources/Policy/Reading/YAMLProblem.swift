// SPDX-License-Identifier: Apache-2.0
import Yams

extension ProfileError {
    /// What the YAML parser refused in `file`, on one line.
    init(_ error: any Error, file: String) {
        let line: Int
        let problem: String
        switch error as? YamlError {
        case .duplicatedKeysInMapping(let keys, let context):
            self = .refused(
                at: Place(file: file, line: context.mark.line),
                key: keys.first ?? "",
                problem: "is written twice",
                mend: "keep one of the two"
            )
            return
        case .scanner(_, let text, let mark, _), .parser(_, let text, let mark, _),
            .composer(_, let text, let mark, _):
            line = mark.line
            problem = text
        case .reader(let text, _, _, _):
            line = 1
            problem = text
        default:
            line = 1
            problem = "\(error)"
        }
        self = .refused(
            at: Place(file: file, line: line),
            key: "",
            problem: "is no YAML: \(problem)",
            mend: "mend the line, or the one before it"
        )
    }
}
