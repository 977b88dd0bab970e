// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import SystemPackage

extension ImageStore {
    /// Removes the image that is called `text`, or whose digest begins with it.
    ///
    /// An image that another name has or had before stays: only the name `text` goes. An image that
    /// somebody holds stays, with all its names. It goes out of sight in one step; when the deletion
    /// that follows fails, what is left is deleted by the next build. With a name goes what it had
    /// before or was to have, unless somebody has or holds that.
    package func remove(_ text: String) throws(ImageError) {
        let gone: (tree: FilePath?, orphans: Set<ImageDigest>)
        do {
            gone = try hide(text)
        } catch .system(_, namesDirectory, .noSuchFileOrDirectory) {
            throw .missing(text, store: path)
        }
        if let tree = gone.tree { try Tree(root: tree).remove() }
        for digest in gone.orphans { _ = try removeIfUnused(digest) }
    }

    /// Removes the image with `digest` if no name claims it and nobody holds it.
    ///
    /// - Returns: whether it did.
    func removeIfUnused(_ digest: ImageDigest) throws(ImageError) -> Bool {
        guard let tree = try hideIfUnused(digest) else { return false }
        try Tree(root: tree).remove()
        return true
    }

    /// - Returns: where it is now.
    private func hideIfUnused(_ digest: ImageDigest) throws(ImageError) -> FilePath? {
        let lock = try lockNames()
        defer { extendLifetime(lock) }
        guard try !names().values.contains(where: { $0.claims.contains(digest) }) else {
            return nil
        }
        do {
            return try hide(digest, called: digest.short)
        } catch .inUse {
            return nil
        }
    }

    /// Takes an image out of sight.
    ///
    /// - Returns: where it is now, if it is to be deleted, and what lost its last claim by it.
    private func hide(
        _ text: String
    ) throws(ImageError) -> (tree: FilePath?, orphans: Set<ImageDigest>) {
        let lock = try lockNames()
        defer { extendLifetime(lock) }
        let names = try names()
        let digest = try digest(text, names)
        let others = names.filter { $0.key != text && $0.value.claims.contains(digest) }
        let losesNameOnly = names[text] != nil && !others.isEmpty
        let tree = losesNameOnly ? nil : try hide(digest, called: text)
        var orphans: Set<ImageDigest> = []
        for (name, record) in losesNameOnly ? names.filter({ $0.key == text }) : names
        where record.claims.contains(digest) {
            if record.digest == digest {
                try system("remove", namesDirectory.appending(name)) { unlink($0) }
                orphans.formUnion(record.claims)
            } else {
                try write(record.forgetting(digest), as: name)
            }
        }
        try flush(namesDirectory)
        return (tree, orphans.subtracting([digest]))
    }

    /// Renames an image away, if it is there and nobody holds it. The names must be locked.
    func hide(_ digest: ImageDigest, called text: String) throws(ImageError) -> FilePath? {
        let directory = directory(of: digest)
        do throws(ImageError) {
            let lock = try Descriptor(directory, O_RDONLY | O_DIRECTORY)
            defer { extendLifetime(lock) }
            guard try lock.lockAtOnce(.exclusive, directory) else { throw ImageError.inUse(text) }
            let gone = path.appending(".removing-\(getpid())-\(digest.hex)")
            try system("remove", directory) { old in
                gone.withPlatformString { rename(old, $0) }
            }
            return gone
        } catch .system(_, _, .noSuchFileOrDirectory) {
            // A name without its image: the name goes.
            return nil
        }
    }

    /// The digest of the image that `text` names or begins the digest of.
    func digest(
        _ text: String,
        _ names: [String: NameRecord]
    ) throws(ImageError) -> ImageDigest {
        if let record = names[text] { return record.digest }
        guard text.hasPrefix("sha256:") else {
            guard ImageName.isValid(text) else { throw .malformedName(text) }
            throw .missing(text, store: path)
        }
        let matching = try digests().filter { $0.description.hasPrefix(text) }
        guard let digest = matching.first, text.utf8.count >= 15 else {
            throw .missing(text, store: path)
        }
        guard matching.count == 1 else { throw .ambiguous(text) }
        return digest
    }
}

extension NameRecord {
    /// The same without an image that is neither previous nor candidate any more.
    fileprivate func forgetting(_ digest: ImageDigest) -> NameRecord {
        var record = self
        if previous == digest { record.previous = nil }
        if candidate == digest { record.candidate = nil }
        return record
    }
}
