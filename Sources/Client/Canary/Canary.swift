// SPDX-License-Identifier: Apache-2.0

/// Which tasks go to the sandbox, by a percentage.
///
/// A task's id falls into one of 10,000 buckets for ever: the first eight bytes of its SHA-256, as
/// a number, most significant byte first, modulo 10,000. Those below the percentage are inside, so
/// that a larger percentage only adds ids. The database (`sandboxd.canary_bucket`) and the Python
/// client count the same; `Tests/canary-vectors.json` holds all three together.
package struct Canary: Sendable, Hashable {
    private static let bucketCount: UInt64 = 10_000
    /// A longer id is a mistake.
    package static let idLimit = 1024

    /// The share that goes to the sandbox, in hundredths of a percent: 0 to 10,000.
    package let hundredths: Int

    /// Reads a percentage: digits, and at most two behind a point.
    package init(_ text: String) throws(ClientError) {
        guard let hundredths = Self.hundredths(text) else {
            throw .usage(
                "--canary '\(text.prefix(40))': give a percentage from 0 to 100, like 10 or 2.5, or "
                    + "'stored' for what 'sandboxd canary set' says"
            )
        }
        self.hundredths = hundredths
    }

    /// Whether the task of this id goes to the sandbox.
    package func takes(_ id: String) -> Bool {
        Self.bucket(of: id) < hundredths
    }

    /// The bucket of an id: 0 to 9999.
    package static func bucket(of id: String) -> Int {
        let number = SHA256.digest(of: id.utf8).prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
        return Int(number % bucketCount)
    }

    /// Refuses what is no id.
    package static func checkID(_ id: String) throws(ClientError) {
        guard !id.isEmpty else { throw .usage("--task-id is empty: give the task's own id") }
        guard id.utf8.count <= idLimit else {
            throw .usage("--task-id has \(id.utf8.count) bytes, and \(idLimit) fit")
        }
        // What is not UTF-8 was repaired before it came here: many ids would be one.
        guard !id.unicodeScalars.contains("\u{fffd}") else {
            throw .usage("--task-id is not UTF-8: every system must read the same id")
        }
    }

    private static func hundredths(_ text: String) -> Int? {
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.allSatisfy({ $0.utf8.allSatisfy(isDigit) && !$0.isEmpty }),
            parts[0].utf8.count <= 3, let whole = Int(parts[0])
        else { return nil }
        var fraction = 0
        if parts.count == 2 {
            guard parts[1].utf8.count <= 2, let digits = Int(parts[1]) else { return nil }
            fraction = parts[1].utf8.count == 1 ? digits * 10 : digits
        }
        let hundredths = whole * 100 + fraction
        return hundredths <= 10_000 ? hundredths : nil
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }
}
