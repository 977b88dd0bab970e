// SPDX-License-Identifier: Apache-2.0
internal import SystemPackage

/// What `<store>/names/<name>` says: which image has the name, and which recipe it was given for.
struct NameRecord: Hashable {
    /// The image.
    let digest: ImageDigest

    /// What the recipe was when the name was given; the same recipe is not built again.
    let recipe: ImageDigest

    /// Reads the record at `path`.
    init(_ path: FilePath) throws(ImageError) {
        let yaml = try readText(path)
        do {
            let section = try Entry(yaml: yaml, file: path.string).section(["digest", "recipe"])
            digest = try section.required("digest").digest()
            recipe = try section.required("recipe").digest()
        } catch {
            throw .damaged(path, error)
        }
    }

    init(digest: ImageDigest, recipe: ImageDigest) {
        self.digest = digest
        self.recipe = recipe
    }

    /// The record as it is stored.
    var yaml: String { "digest: \(digest)\nrecipe: \(recipe)\n" }
}

extension Entry {
    /// A digest.
    fileprivate func digest() throws(DocumentError) -> ImageDigest {
        let text = try text()
        guard let digest = ImageDigest(text) else { throw refusal("\"\(text)\" is no digest") }
        return digest
    }
}
