// SPDX-License-Identifier: Apache-2.0
internal import Crypto
internal import Glibc
internal import SystemPackage

extension ImageDigest {
    /// The digest of an image's content: of its tree, and of how jobs start in it.
    ///
    /// It is the SHA-256 of a row of fields, each preceded by its length in eight bytes, least
    /// significant first:
    ///
    /// 1. `sandboxd image 1`;
    /// 2. the environment: the number of fields, then names and values, sorted by name;
    /// 3. the user: the number of fields, then name, uid, gid, home, shell;
    /// 4. for every entry of the tree, a directory before what is in it and names in byte order:
    ///    `d`, `f` or `l`; the path from `/`; the mode in octal (of a link: nothing); and the
    ///    SHA-256 of a file's bytes in hexadecimal, or where a link points, or nothing.
    ///
    /// Owners and times do not count: everything belongs to whoever built the image, and times
    /// would make two builds of the same packages differ. Neither do hard links nor extended
    /// attributes, for no job can tell the former, and the latter are not unpacked.
    static func content(
        of tree: Tree,
        environment: [String: String],
        user: ImageUser
    ) throws(ImageError) -> ImageDigest {
        var hasher = FieldHasher()
        hasher.add("sandboxd image 1")
        hasher.add(environment)
        hasher.add(user)
        try tree.walk { (entry) throws(ImageError) in
            try hasher.add(entry)
            return true
        }
        return hasher.digest()
    }
}

extension FieldHasher {
    fileprivate mutating func add(_ entry: TreeEntry) throws(ImageError) {
        switch entry.kind {
        case .directory:
            add("d")
            add(entry.name)
            add(String(entry.mode, radix: 8))
            add("")
        case .file:
            add("f")
            add(entry.name)
            add(String(entry.mode, radix: 8))
            add(try sha256(entry.path).hex)
        case .link:
            add("l")
            add(entry.name)
            add("")
            add(try entry.target())
        case .special:
            throw .unusable(entry.path, problem: "is a device, a FIFO or a socket")
        }
    }

    private func sha256(_ file: FilePath) throws(ImageError) -> ImageDigest {
        var sha = SHA256()
        try readBytes(file) { (bytes) throws(ImageError) in
            bytes.withUnsafeBytes { sha.update(bufferPointer: $0) }
        }
        return ImageDigest(sha.finalize())
    }
}
