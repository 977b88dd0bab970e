// SPDX-License-Identifier: Apache-2.0
internal import SystemPackage

/// What `<store>/names/<name>` says: which image has the name, had it before, or is to have it.
struct NameRecord: Hashable {
    /// The image.
    let digest: ImageDigest

    /// What the recipe was when the name was given to what it built; the same is not built again.
    var recipe: ImageDigest?

    /// The image that had the name before.
    var previous: ImageDigest?

    /// The image that is to be tried, and then to have the name.
    var candidate: ImageDigest?

    /// Reads the record at `path`.
    init(_ path: FilePath) throws(ImageError) {
        let yaml = try readText(path)
        do {
            let section = try Entry(yaml: yaml, file: path.string)
                .section(["digest", "recipe", "previous", "candidate"])
            digest = try section.required("digest").digest()
            recipe = try section.pairs["recipe"]?.digest()
            previous = try section.pairs["previous"]?.digest()
            candidate = try section.pairs["candidate"]?.digest()
        } catch {
            throw .damaged(path, error)
        }
    }

    init(digest: ImageDigest, recipe: ImageDigest? = nil) {
        self.digest = digest
        self.recipe = recipe
    }

    /// The record as it is stored.
    var yaml: String {
        let lines = [
            ("digest", digest), ("recipe", recipe), ("previous", previous),
            ("candidate", candidate),
        ]
        return lines.map { key, digest in digest.map { "\(key): \($0)\n" } ?? "" }.joined()
    }
}

extension NameRecord {
    /// The same name for another image: what had it is the previous one now.
    func moved(to digest: ImageDigest, recipe: ImageDigest?) -> NameRecord {
        var record = NameRecord(digest: digest, recipe: recipe)
        record.previous = digest == self.digest ? previous : self.digest
        record.candidate = candidate == digest ? nil : candidate
        return record
    }

    /// All images that must stay for the name's sake.
    var claims: Set<ImageDigest> {
        Set([digest, previous, candidate].compactMap { $0 })
    }
}
