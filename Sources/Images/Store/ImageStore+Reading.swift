// SPDX-License-Identifier: Apache-2.0
internal import SystemPackage

extension ImageStore {
    /// Where names are kept.
    var namesDirectory: FilePath { path.appending("names") }

    /// Where the image with `digest` is, or would be.
    func directory(of digest: ImageDigest) -> FilePath {
        path.appending(digest.directoryName)
    }

    /// Every name, and what it stands for.
    func names() throws(ImageError) -> [String: NameRecord] {
        var records: [String: NameRecord] = [:]
        for name in try listing(namesDirectory) {
            // A record that is being written begins with a dot.
            guard ImageName.isValid(name) else { continue }
            records[name] = try record(name)
        }
        return records
    }

    /// What `name` stands for, if it is there.
    func record(_ name: String) throws(ImageError) -> NameRecord? {
        do {
            return try NameRecord(namesDirectory.appending(name))
        } catch .system(_, _, .noSuchFileOrDirectory) {
            return nil
        }
    }

    /// The digests of all complete images.
    package func digests() throws(ImageError) -> [ImageDigest] {
        try listing(path).filter { $0.hasPrefix("sha256-") }.compactMap { ImageDigest($0) }
    }

    /// The image with `digest`, if it is there.
    func image(_ digest: ImageDigest, name: String?) throws(ImageError) -> Image? {
        let directory = directory(of: digest)
        do {
            let facts = try ImageFacts(directory: directory)
            return Image(name: name, digest: digest, directory: directory, facts: facts)
        } catch .system(_, _, .noSuchFileOrDirectory) {
            return nil
        }
    }

    /// The image of `recipe`, if it has its name and was built from nothing else.
    func current(_ recipe: Recipe) throws(ImageError) -> Image? {
        guard let record = try record(recipe.name), record.recipe == recipe.digest else {
            return nil
        }
        return try image(record.digest, name: recipe.name)
    }

    /// The names in `directory`; none when there is no such directory.
    func listing(_ directory: FilePath) throws(ImageError) -> [String] {
        do {
            return try Images.names(in: directory).map(\.string).sorted()
        } catch .system(_, _, .noSuchFileOrDirectory) {
            return []
        }
    }
}
