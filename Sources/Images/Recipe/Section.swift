// SPDX-License-Identifier: Apache-2.0

/// The entries of a section whose keys are all known.
struct Section {
    let whole: Entry
    let pairs: [String: Entry]

    /// The entry at `key`, which must be there.
    func required(_ key: String) throws(DocumentError) -> Entry {
        guard let entry = pairs[key] else { throw whole.lacks(key) }
        return entry
    }
}
