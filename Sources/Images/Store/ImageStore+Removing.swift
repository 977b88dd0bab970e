// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import SystemPackage

extension ImageStore {
    /// Removes the image that is called `text`, or whose digest begins with it.
    ///
    /// An image that has another name beside `text` only loses this one. An image that somebody
    /// holds stays, with all its names. It goes out of sight in one step; when the deletion that
    /// follows fails, what is left is deleted by the next build.
    package func remove(_ text: String) throws(ImageError) {
        let gone: FilePath?
        do {
            gone = try hide(text)
        } catch .system(_, namesDirectory, .noSuchFileOrDirectory) {
            throw .missing(text, store: path)
        }
        if let gone { try Tree(root: gone).remove() }
    }

    /// Removes the image with `digest` if it has no name and nobody holds it.
    ///
    /// - Returns: whether it did.
    func removeIfUnused(_ digest: ImageDigest) throws(ImageError) -> Bool {
        guard try !names().values.contains(where: { $0.digest == digest }) else { return false }
        do {
            try remove(digest.description)
        } catch .inUse {
            return false
        }
        return true
    }

    /// Takes an image out of sight.
    ///
    /// - Returns: where it is now, if it is to be deleted.
    private func hide(_ text: String) throws(ImageError) -> FilePath? {
        let lock = try Descriptor(namesDirectory, O_RDONLY | O_DIRECTORY)
        defer { extendLifetime(lock) }
        try lock.lock(.exclusive, namesDirectory)
        let names = try names()
        let digest = try digest(text, names)
        let all = names.filter { $0.value.digest == digest }.keys
        let isOneOfMany = names[text] != nil && all.count > 1
        let gone = isOneOfMany ? nil : try hide(digest, called: text)
        for name in isOneOfMany ? [text] : Array(all) {
            try system("remove", namesDirectory.appending(name)) { unlink($0) }
        }
        try flush(namesDirectory)
        return gone
    }

    /// Renames an image away, if it is there and nobody holds it.
    private func hide(_ digest: ImageDigest, called text: String) throws(ImageError) -> FilePath? {
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
    private func digest(
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
