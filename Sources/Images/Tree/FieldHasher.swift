// SPDX-License-Identifier: Apache-2.0
internal import Crypto

/// Hashes a row of fields so that no two different rows hash alike.
///
/// Each field is preceded by its length; "ab", "c" and "a", "bc" differ.
struct FieldHasher {
    private var sha = SHA256()

    /// Adds one field.
    mutating func add(_ field: some Collection<UInt8>) {
        withUnsafeBytes(of: UInt64(field.count).littleEndian) { sha.update(bufferPointer: $0) }
        sha.update(data: Array(field))
    }

    /// Adds one field of text.
    mutating func add(_ field: String) {
        add(field.utf8)
    }

    /// Adds how many fields follow, and then them.
    mutating func add(_ fields: [String]) {
        add(String(fields.count))
        for field in fields { add(field) }
    }

    /// Adds a table, whatever order it is in.
    mutating func add(_ table: [String: String]) {
        add(table.sorted { $0.key < $1.key }.flatMap { [$0.key, $0.value] })
    }

    /// The digest of all fields so far.
    func digest() -> ImageDigest {
        ImageDigest(sha.finalize())
    }

    /// Adds a user's fields.
    mutating func add(_ user: ImageUser) {
        add([user.name, String(user.uid), String(user.gid), user.home, user.shell])
    }
}
