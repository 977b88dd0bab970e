// SPDX-License-Identifier: Apache-2.0

/// The images of one name.
package struct NamedImages: Hashable, Sendable {
    /// What the name stands for; nil when that image is gone.
    package let current: Image?

    /// What it stood for before; nil when there is none, or none any more.
    package let previous: Image?

    /// What it may stand for next; nil when there is none, or none any more.
    package let candidate: Image?
}

/// What an image is to a name.
package struct ImageRole: Hashable, Sendable {
    /// Current first.
    package enum Kind: String, Hashable, Sendable, CaseIterable {
        case current
        case previous
        case candidate
    }

    package let name: String
    package let kind: Kind
}

extension ImageStore {
    /// The images that `name` has, had and may have.
    package func images(named name: String) throws(ImageError) -> NamedImages {
        try Self.check(name: name)
        guard let record = try record(name) else { throw .missing(name, store: path) }
        func known(_ digest: ImageDigest?) throws(ImageError) -> Image? {
            guard let digest else { return nil }
            return try image(digest, name: name)
        }
        return NamedImages(
            current: try known(record.digest),
            previous: try known(record.previous),
            candidate: try known(record.candidate)
        )
    }

    /// What each image is to whom, names in order, each with current first.
    package func roles() throws(ImageError) -> [ImageDigest: [ImageRole]] {
        var roles: [ImageDigest: [ImageRole]] = [:]
        for (name, record) in try names().sorted(by: { $0.key < $1.key }) {
            for kind in ImageRole.Kind.allCases {
                guard let digest = record.image(kind) else { continue }
                roles[digest, default: []].append(ImageRole(name: name, kind: kind))
            }
        }
        return roles
    }

    /// The image that `text` names, or begins the digest of.
    package func find(_ text: String) throws(ImageError) -> Image {
        let digest = try digest(text, names())
        guard let image = try image(digest, name: text.hasPrefix("sha256:") ? nil : text) else {
            throw .missing(text, store: path)
        }
        return image
    }
}

extension NameRecord {
    fileprivate func image(_ kind: ImageRole.Kind) -> ImageDigest? {
        switch kind {
        case .current: digest
        case .previous: previous
        case .candidate: candidate
        }
    }
}
