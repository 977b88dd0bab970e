// SPDX-License-Identifier: Apache-2.0
package import JSON

/// A refused system call of a report, in a line.
package enum CallProse {
    /// `keyctl (250) by python3, 3 times: EPERM`.
    package static func line(_ call: JSONValue, name: String? = nil, errno: String) -> String {
        var text = "\(name ?? call["name"]?.text ?? "?") (\(call["number"]?.int ?? -1))"
        if case .object(let arguments)? = call["arguments"], !arguments.isEmpty {
            let values = arguments.sorted { $0.key < $1.key }.map { key, value in
                "\(key)=0x\(String(value.int ?? 0, radix: 16))"
            }
            text += " with " + values.joined(separator: " ")
        }
        let count = call["count"]?.int ?? 1
        text += " by " + Terminal.printable(call["program"]?.text ?? "?")
        return text + (count == 1 ? "" : ", \(count) times") + ": " + errno
    }

    /// The lines of all that a report says was refused.
    package static func lines(_ report: JSONValue) -> [String] {
        (report["calls"]?.elements ?? []).compactMap { call in
            call["errno"]?.text.map { line(call, errno: $0) }
        }
    }
}
