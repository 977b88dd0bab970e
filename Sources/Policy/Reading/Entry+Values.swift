// SPDX-License-Identifier: Apache-2.0

extension Entry {
    /// Words that people write when they want no limit at all.
    private static let unlimited: Set = ["unlimited", "infinity", "infinite", "max", "none"]

    /// The value of `limit`, inside what it allows.
    func value(of limit: Limit) throws(ProfileError) -> UInt64 {
        let text = try text()
        let range =
            "\(limit.written(limit.allowed.lowerBound)) to "
            + limit.written(limit.allowed.upperBound)
        guard !Self.unlimited.contains(text) else {
            throw refusal("\"\(text)\" is no limit, and every run has one", mend: "write \(range)")
        }
        let value: UInt64
        do {
            value = try limit.value(of: text)
        } catch {
            throw refusal("\"\(text)\" \(error.problem)", mend: error.mend)
        }
        if value == 0, limit.allowed.lowerBound > 0 {
            throw refusal("\"\(text)\" is zero", mend: "write \(range)")
        }
        if value < limit.allowed.lowerBound {
            throw refusal("\"\(text)\" is too small", mend: "write \(range)")
        }
        if value > limit.allowed.upperBound {
            throw refusal("\"\(text)\" is too large", mend: "write \(range)")
        }
        return value
    }

    /// A name: lower-case letters, digits, dots, dashes and underscores, 64 at most.
    func name() throws(ProfileError) -> String {
        let text = try text()
        let isName = text.utf8.allSatisfy { byte in
            switch byte {
            case 0x61...0x7a, 0x30...0x39, 0x2d, 0x2e, 0x5f: true
            default: false
            }
        }
        guard isName, (1...64).contains(text.utf8.count), !text.hasPrefix("."),
            !text.hasPrefix("-")
        else {
            throw refusal(
                "\"\(text)\" is no name",
                mend: "write at most 64 lower-case letters, digits, dots, dashes or underscores"
            )
        }
        return text
    }

    /// A sentence for people.
    func sentence() throws(ProfileError) -> String {
        let text = try text()
        guard text.contains(where: { !$0.isWhitespace }) else {
            throw refusal("is blank", mend: "write a sentence")
        }
        guard text.utf8.count <= 1000 else {
            throw refusal("is longer than 1000 bytes", mend: "shorten it")
        }
        return text
    }

    /// An absolute path without detours.
    func absolutePath() throws(ProfileError) -> String {
        let text = try text()
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
        let isPlain = text == "/" || parts.allSatisfy { !["", ".", ".."].contains($0) }
        guard text.hasPrefix("/"), isPlain, text.utf8.count < 4096, !text.utf8.contains(0) else {
            throw refusal(
                "\"\(text)\" is no absolute path",
                mend: "start it with / and leave out \"..\", \".\" and doubled slashes"
            )
        }
        return text
    }

    /// Environment variables.
    func environment() throws(ProfileError) -> [String: String] {
        var variables: [String: String] = [:]
        for pair in try pairs() {
            let (name, entry) = (pair.name, pair.value)
            let isName = name.utf8.allSatisfy { byte in
                switch byte {
                case 0x41...0x5a, 0x61...0x7a, 0x30...0x39, 0x5f: true
                default: false
                }
            }
            guard isName, !name.isEmpty, name.utf8.count <= 256 else {
                throw entry.refusal(
                    "is no name of a variable",
                    mend: "write letters, digits and underscores"
                )
            }
            let text = try entry.text()
            // execve(2) ends a text at its first NUL and takes 128 KiB at most.
            guard !text.utf8.contains(0), text.utf8.count <= 65_536 else {
                throw entry.refusal("has a NUL or is longer than 64 KiB", mend: "shorten it")
            }
            variables[name] = text
        }
        return variables
    }
}
