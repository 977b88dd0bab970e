// SPDX-License-Identifier: Apache-2.0

/// The entries of a section whose keys are all known.
struct Section {
    private let whole: Entry
    private let entries: [String: Entry]

    /// Takes the pairs of `whole`; no key is there twice, for the parser refuses that.
    init(whole: Entry, pairs: [Pair]) {
        self.whole = whole
        entries = Dictionary(pairs.map { ($0.name, $0.value) }) { first, _ in first }
    }

    /// The entry at `key`, which need not be there.
    func optional(_ key: String) -> Entry? {
        entries[key]
    }

    /// The entry at `key`, which must be there: a profile has no hidden defaults.
    func required(_ key: String) throws(ProfileError) -> Entry {
        guard let entry = entries[key] else {
            throw .refused(
                at: whole.place,
                key: whole.key.isEmpty ? key : "\(whole.key).\(key)",
                problem: "is missing",
                mend: "add it, for nothing has a default"
            )
        }
        return entry
    }
}
