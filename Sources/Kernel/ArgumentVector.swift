// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// argv as C wants it.
package enum ArgumentVector {
    /// Calls `body` with NULL-terminated copies that live until it returns.
    package static func with<Value>(
        _ arguments: [String],
        _ body: ([UnsafeMutablePointer<CChar>?]) -> Value
    ) -> Value {
        let words = arguments.map { strdup($0) }
        defer { words.forEach { free($0) } }
        return body(words + [nil])
    }
}
