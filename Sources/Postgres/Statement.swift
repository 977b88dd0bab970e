// SPDX-License-Identifier: Apache-2.0

/// A statement with parameters `$1`, `$2`, …, which each connection prepares at its first use.
///
/// Two statements of one name with different texts are our own bug; the server would answer for
/// the one that came first.
package struct Statement: Sendable, Hashable {
    /// What the server knows it by, and what errors call it: `jobs.claim`.
    package let name: String
    /// One statement, without a semicolon's second.
    package let sql: String

    /// Names a text.
    package init(_ name: String, _ sql: String) {
        self.name = name
        self.sql = sql
    }
}
