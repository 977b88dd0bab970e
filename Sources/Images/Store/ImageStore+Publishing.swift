// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import SystemPackage

extension ImageStore {
    /// Makes the store's directories, for everybody to read.
    func create() throws(ImageError) {
        var missing: [FilePath] = []
        var directory = path
        while !directory.isEmpty, directory.withPlatformString({ access($0, F_OK) }) != 0 {
            missing.append(directory)
            directory.removeLastComponent()
        }
        for directory in missing.reversed() { try makeDirectory(directory, mode: 0o755) }
        try makeDirectory(namesDirectory, mode: 0o755)
    }

    /// Waits for the one build that may run, and then is it.
    ///
    /// `waiting` is called when another build runs, before the waiting begins. The wait is
    /// bounded by that build.
    func lockForBuilding(waiting: () -> Void) throws(ImageError) -> Descriptor {
        let path = path.appending(".build.lock")
        // Read-only is enough for flock(2), and lets a user lock what another one made.
        let flags = O_RDONLY | O_CREAT | O_NOFOLLOW
        let lock = try Descriptor(path, flags, mode: 0o644)
        guard try !lock.lockAtOnce(.exclusive, path) else { return lock }
        waiting()
        try lock.lock(.exclusive, path)
        return lock
    }

    /// Removes what builds and removals left that did not come to their end.
    ///
    /// The build lock must be held: then no half-built image has a builder.
    func removeLeftovers() throws(ImageError) {
        for name in try listing(path) {
            guard name.hasPrefix(".building-") || name.hasPrefix(".removing-") else { continue }
            try Tree(root: path.appending(name)).remove()
        }
    }

    /// Makes the complete image in `directory`, which is in this store, visible as `name`.
    ///
    /// An image with this content that is there already is kept, and `directory` too. On failure
    /// the name is what it was, and the image may be there without a name.
    ///
    /// - Returns: what had the name before, when that was another image.
    func publish(
        _ directory: FilePath,
        as name: String,
        _ record: NameRecord
    ) throws(ImageError) -> ImageDigest? {
        let names = try Descriptor(namesDirectory, O_RDONLY | O_DIRECTORY)
        defer { extendLifetime(names) }
        try names.lock(.exclusive, namesDirectory)
        if try image(record.digest, name: nil) == nil {
            let target = self.directory(of: record.digest)
            try system("make visible", target) { target in
                directory.withPlatformString { rename($0, target) }
            }
            try flush(path)
        }
        // A record that does not read is replaced as well.
        let before = (try? self.record(name))?.digest
        let fresh = namesDirectory.appending(".\(name)-\(getpid())")
        // One that a builder of the same process id left.
        _ = fresh.withPlatformString { unlink($0) }
        try writeText(record.yaml, to: fresh)
        try system("name", namesDirectory.appending(name)) { target in
            fresh.withPlatformString { rename($0, target) }
        }
        try flush(namesDirectory)
        return before == record.digest ? nil : before
    }
}
