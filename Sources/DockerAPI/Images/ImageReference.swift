// SPDX-License-Identifier: Apache-2.0

/// An image's name in a registry: `HOST/PATH:TAG`, `HOST/PATH@DIGEST`, or an image's id.
package struct ImageReference: Sendable, Hashable {
    /// Where a name without a host is looked for.
    package static let standardRegistry = "docker.io"

    /// The name as it was written, without tag and digest; empty for an id.
    package let name: String
    package let tag: String?
    /// `sha256:` and 64 digits: of a manifest in a registry, or the image's id itself.
    package let digest: String?

    /// Reads a reference; the error says what is wrong with it.
    package init(_ text: String) throws(DockerError) {
        func refusal(_ why: String) -> DockerError {
            DockerError(
                .reference,
                .invalid("'\(Visible.text(text, limit: 200))' is no image: \(why)")
            )
        }
        var rest = Substring(text)
        if ImageGrammar.isDigest(text) {
            (name, tag, digest) = ("", nil, text)
            return
        }
        let noDigest = "a digest is 'sha256:' and 64 digits of 0-9a-f"
        // It could be an image named sha256, and never is meant to be.
        guard !text.hasPrefix("sha256:") else { throw refusal(noDigest) }
        if let at = rest.firstIndex(of: "@") {
            let digest = String(rest[rest.index(after: at)...])
            guard ImageGrammar.isDigest(digest) else { throw refusal(noDigest) }
            self.digest = digest
            rest = rest[..<at]
        } else {
            digest = nil
        }
        // A colon before the last slash is a host's port.
        if let colon = rest.lastIndex(of: ":"), !rest[colon...].contains("/") {
            let tag = String(rest[rest.index(after: colon)...])
            guard ImageGrammar.isTag(tag) else {
                throw refusal(
                    "a tag is letters, digits, '_', '.' and '-', \(ImageGrammar.tagLimit) at most"
                )
            }
            self.tag = tag
            rest = rest[..<colon]
        } else {
            tag = nil
        }
        name = String(rest)
        guard ImageGrammar.isName(rest) else {
            throw refusal(
                "a name is an optional host and words of a-z and 0-9 with single '.', '_' or '-' "
                    + "between them, parted by '/', \(ImageGrammar.nameLimit) bytes at most"
            )
        }
    }

    /// The registry's host, with its port if it has one: whom credentials must be for.
    package var registry: String {
        guard let slash = name.firstIndex(of: "/") else { return Self.standardRegistry }
        let first = name[..<slash]
        return ImageGrammar.looksLikeHost(first) ? String(first) : Self.standardRegistry
    }
}

extension ImageReference: CustomStringConvertible {
    /// As it was written.
    package var description: String {
        guard !name.isEmpty else { return digest ?? "" }
        return name + (tag.map { ":" + $0 } ?? "") + (digest.map { "@" + $0 } ?? "")
    }
}
