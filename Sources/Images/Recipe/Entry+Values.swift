// SPDX-License-Identifier: Apache-2.0
extension Entry {
    /// Text that `isAllowed` byte by byte and is 1 to `longest` bytes long.
    func word(
        _ what: String,
        longest: Int = 128,
        _ isAllowed: (UInt8) -> Bool
    ) throws(DocumentError) -> String {
        let text = try text()
        guard (1...longest).contains(text.utf8.count), text.utf8.allSatisfy(isAllowed) else {
            throw refusal("\"\(text)\" is no \(what)")
        }
        return text
    }

    /// The name of an image.
    func imageName() throws(DocumentError) -> String {
        let text = try text()
        guard ImageName.isValid(text) else {
            throw refusal("\"\(text)\" is no name: write lower-case letters, digits and dashes")
        }
        return text
    }

    /// The name of a Debian release.
    func suite() throws(DocumentError) -> String {
        let suite = try word("suite") { $0.isLower || $0.isDecimal || $0 == 0x2d }
        // A leading dash would be an option.
        guard suite.utf8.first?.isLower == true else { throw refusal("\"\(suite)\" is no suite") }
        return suite
    }

    /// The name of a Debian package, as Debian's policy has it (section 5.6.1).
    func packageName() throws(DocumentError) -> String {
        let name = try word("package") { $0.isLower || $0.isDecimal || "+-.".utf8.contains($0) }
        // A leading dash or plus would mean something else to apt.
        guard let first = name.utf8.first, first.isLower || first.isDecimal, name.utf8.count > 1
        else { throw refusal("\"\(name)\" is no package") }
        return name
    }

    /// A digest.
    func digest() throws(DocumentError) -> ImageDigest {
        let text = try text()
        guard let digest = ImageDigest(text) else { throw refusal("\"\(text)\" is no digest") }
        return digest
    }

    /// A number of a user or group inside the sandbox, of the range that Debian gives to people.
    func id() throws(DocumentError) -> UInt32 {
        let text = try text()
        guard text.utf8.allSatisfy(\.isDecimal), let value = UInt32(text),
            (1000...59_999).contains(value)
        else { throw refusal("\"\(text)\" is no id: write a number from 1000 to 59999") }
        return value
    }

    /// An absolute path without detours, below the root.
    func absolutePath() throws(DocumentError) -> String {
        let text = try text()
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
        guard text.hasPrefix("/"), text.utf8.count < 4096,
            parts.allSatisfy({ !["", ".", ".."].contains($0) }), !text.contains("\n"),
            !text.contains(":")
        else {
            throw refusal("\"\(text)\" is no absolute path: leave out \"..\" and doubled slashes")
        }
        return text
    }

    /// Environment variables.
    func environment() throws(DocumentError) -> [String: String] {
        var variables: [String: String] = [:]
        for (name, entry) in try pairs().sorted(by: { $0.key < $1.key }) {
            let isName = name.utf8.allSatisfy {
                $0.isUpper || $0.isLower || $0.isDecimal || $0 == 0x5f
            }
            guard isName, let first = name.utf8.first, !first.isDecimal else {
                throw entry.refusal("is no name of a variable")
            }
            variables[name] = try entry.text()
        }
        return variables
    }

    /// Who jobs are.
    func user() throws(DocumentError) -> ImageUser {
        let section = try section(["name", "uid", "gid", "home", "shell"])
        let name = try section.required("name")
        let user = ImageUser(
            name: try name.word("name of a user", longest: 32) { $0.isLower || $0.isDecimal },
            uid: try section.required("uid").id(),
            gid: try section.required("gid").id(),
            home: try section.required("home").absolutePath(),
            shell: try section.required("shell").absolutePath()
        )
        guard user.name != "root", user.name != "nobody" else {
            throw name.refusal("\"\(user.name)\" is there already")
        }
        return user
    }
}

/// What an image may be called.
enum ImageName {
    /// Lower-case letters, digits, dots, dashes and underscores, 64 at most, no dot or dash first.
    static func isValid(_ text: String) -> Bool {
        guard let first = text.utf8.first, first.isLower || first.isDecimal else { return false }
        return text.utf8.count <= 64
            && text.utf8.allSatisfy { $0.isLower || $0.isDecimal || "._-".utf8.contains($0) }
    }
}

extension UInt8 {
    var isLower: Bool { (0x61...0x7a).contains(self) }
    var isUpper: Bool { (0x41...0x5a).contains(self) }
    var isDecimal: Bool { (0x30...0x39).contains(self) }
}
