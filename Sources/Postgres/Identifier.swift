// SPDX-License-Identifier: Apache-2.0

/// Names as SQL takes them, whatever is in them.
package enum Identifier {
    /// The name in double quotes: `jobs"1` is `"jobs""1"`.
    package static func quoted(_ name: String) -> String {
        let halves = name.split(separator: "\"", omittingEmptySubsequences: false)
        return "\"" + halves.joined(separator: "\"\"") + "\""
    }
}
