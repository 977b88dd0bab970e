// SPDX-License-Identifier: Apache-2.0
internal import Glibc
package import SystemPackage

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

    /// Where somebody may make a file for himself, for as long as it takes to open it: should he be
    /// killed before he has removed its name, the next build removes it.
    package func scratchFile() throws(ImageError) -> FilePath {
        try create()
        return path.appending(".building-scratch-\(getpid())")
    }

    /// Waits for the one build that may run, and then is it.
    ///
    /// `waiting` is called when another build runs, before the waiting begins. The wait is
    /// bounded by that build.
    func lockForBuilding(waiting: () -> Void) throws(ImageError) -> Descriptor {
        let lock = try openBuildLock()
        guard try !lock.lockAtOnce(.exclusive, path) else { return lock }
        waiting()
        try lock.lock(.exclusive, path)
        return lock
    }

    /// The build lock, if nobody has it.
    func lockForBuildingAtOnce() throws(ImageError) -> Descriptor? {
        let lock = try openBuildLock()
        guard try lock.lockAtOnce(.exclusive, path) else { return nil }
        return lock
    }

    private func openBuildLock() throws(ImageError) -> Descriptor {
        // Read-only is enough for flock(2), and lets a user lock what another one made.
        let flags = O_RDONLY | O_CREAT | O_NOFOLLOW
        return try Descriptor(path.appending(".build.lock"), flags, mode: 0o644)
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

    /// Makes the complete image in `directory`, which is in this store, visible, and changes the
    /// record of `name`, if it is there, to what `change` answers.
    ///
    /// An image with this content that is there already is kept, and `directory` too. On failure
    /// the name is what it was, and the image may be there without a name.
    ///
    /// - Returns: what the name no longer claims.
    func publish(
        _ directory: FilePath,
        _ digest: ImageDigest,
        as name: String,
        _ change: (NameRecord?) -> NameRecord
    ) throws(ImageError) -> Set<ImageDigest> {
        let names = try lockNames()
        defer { extendLifetime(names) }
        if try image(digest, name: nil) == nil {
            let target = self.directory(of: digest)
            try system("make visible", target) { target in
                directory.withPlatformString { rename($0, target) }
            }
            try flush(path)
        }
        // A record that does not read is replaced as well.
        let before = try? record(name)
        let after = change(before)
        try write(after, as: name)
        return (before?.claims ?? []).subtracting(after.claims)
    }

    /// Waits until nobody changes names or removes images, and keeps everybody from it.
    func lockNames() throws(ImageError) -> Descriptor {
        let names = try Descriptor(namesDirectory, O_RDONLY | O_DIRECTORY)
        try names.lock(.exclusive, namesDirectory)
        return names
    }

    /// Writes a name's record, whole or not at all. The names must be locked.
    func write(_ record: NameRecord, as name: String) throws(ImageError) {
        let fresh = namesDirectory.appending(".\(name)-\(getpid())")
        // One that a builder of the same process id left.
        _ = fresh.withPlatformString { unlink($0) }
        try writeText(record.yaml, to: fresh)
        try system("name", namesDirectory.appending(name)) { target in
            fresh.withPlatformString { rename($0, target) }
        }
        try flush(namesDirectory)
    }
}
