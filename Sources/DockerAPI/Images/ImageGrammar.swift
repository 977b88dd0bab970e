// SPDX-License-Identifier: Apache-2.0

/// What names of images look like: the grammar of the distribution project (reference.Parse),
/// without IPv6 hosts, and with nothing but SHA-256.
enum ImageGrammar {
    static let nameLimit = 255
    static let tagLimit = 128

    private static let digestDigits = 64

    /// `sha256:` and its digits.
    static func isDigest(_ text: some StringProtocol) -> Bool {
        guard text.hasPrefix("sha256:") else { return false }
        let digits = text.utf8.dropFirst("sha256:".utf8.count)
        return digits.count == digestDigits && digits.allSatisfy(\.isHexadecimal)
    }

    static func isTag(_ text: some StringProtocol) -> Bool {
        guard let first = text.utf8.first, text.utf8.count <= tagLimit else { return false }
        return (first.isLetterOrDigit || first == UInt8(ascii: "_"))
            && text.utf8.allSatisfy { $0.isLetterOrDigit || "_.-".utf8.contains($0) }
    }

    /// An optional host, and words parted by slashes.
    static func isName(_ text: Substring) -> Bool {
        guard text.utf8.count <= nameLimit else { return false }
        // An engine would take it for an id.
        if text.utf8.count == digestDigits, text.utf8.allSatisfy(\.isHexadecimal) { return false }
        var parts = text.split(separator: "/", omittingEmptySubsequences: false)[...]
        if parts.count > 1, let first = parts.first, looksLikeHost(first) {
            guard isHost(first) else { return false }
            parts = parts.dropFirst()
        }
        return parts.allSatisfy(isComponent)
    }

    /// Docker's rule: the first of several words is a host when it could be nothing else.
    static func looksLikeHost(_ text: Substring) -> Bool {
        text == "localhost" || text.contains(".") || text.contains(":")
            || text.utf8.contains(where: \.isLargeLetter)
    }

    private static func isHost(_ text: Substring) -> Bool {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard let host = parts.first, parts.count <= 2 else { return false }
        if parts.count == 2 {
            let port = parts[1].utf8
            guard (1...5).contains(port.count), port.allSatisfy(\.isDigit) else { return false }
        }
        return host.split(separator: ".", omittingEmptySubsequences: false).allSatisfy(isHostLabel)
    }

    private static func isHostLabel(_ text: Substring) -> Bool {
        guard let first = text.utf8.first, let last = text.utf8.last else { return false }
        return first.isLetterOrDigit && last.isLetterOrDigit
            && text.utf8.allSatisfy { $0.isLetterOrDigit || $0 == UInt8(ascii: "-") }
    }

    /// Small letters and digits, with separators between them.
    private static func isComponent(_ text: Substring) -> Bool {
        let runs = text.utf8.split(
            omittingEmptySubsequences: false,
            whereSeparator: { $0.isDigit || $0.isSmallLetter }
        )
        // What is left between letters is the separators; at both ends there is none.
        guard !text.isEmpty, runs.count > 1, runs.first?.isEmpty == true,
            runs.last?.isEmpty == true
        else { return false }
        return runs.allSatisfy(isSeparator)
    }

    /// Nothing, `.`, `_`, `__`, or any number of `-`.
    private static func isSeparator(_ text: Substring.UTF8View.SubSequence) -> Bool {
        ["", ".", "_", "__"].contains(String(Substring(text)))
            || text.allSatisfy { $0 == UInt8(ascii: "-") }
    }
}
