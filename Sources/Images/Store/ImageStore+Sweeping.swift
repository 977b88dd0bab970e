// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import SystemPackage

/// What became of an image that no name claims.
package struct SweptImage: Hashable, Sendable {
    package let digest: ImageDigest

    /// The sizes of its files; 0 when what is known about it cannot be read.
    package let bytes: UInt64

    /// Somebody holds it, so it stayed.
    package let isInUse: Bool
}

extension ImageStore {
    /// Removes every image that no name has, had before or may have next, unless somebody holds it;
    /// and what builds and removals left that did not come to their end, unless one runs. A trial
    /// removes nothing, and answers the same.
    package func sweep(isTrial: Bool) throws(ImageError) -> [SweptImage] {
        guard namesDirectory.withPlatformString({ access($0, F_OK) }) == 0 else { return [] }
        if !isTrial, let lock = try lockForBuildingAtOnce() {
            defer { lock.unlock() }
            try removeLeftovers()
        }
        var swept: [SweptImage] = []
        for digest in try digests() {
            guard let (image, tree) = try sweep(digest, isTrial: isTrial) else { continue }
            swept.append(image)
            if let tree { try Tree(root: tree).remove() }
        }
        return swept
    }

    /// - Returns: nil for one that is claimed; where it is now, if it is to be deleted.
    private func sweep(
        _ digest: ImageDigest,
        isTrial: Bool
    ) throws(ImageError) -> (SweptImage, FilePath?)? {
        let lock = try lockNames()
        defer { extendLifetime(lock) }
        // A record that does not read ends it: what it claims is not known.
        guard try !names().values.contains(where: { $0.claims.contains(digest) }) else {
            return nil
        }
        // Facts that do not read are no reason to keep it.
        let bytes = (try? image(digest, name: nil))?.facts.bytes ?? 0
        do throws(ImageError) {
            let tree = isTrial ? try checkUnused(digest) : try hide(digest, called: digest.short)
            return (SweptImage(digest: digest, bytes: bytes, isInUse: false), tree)
        } catch .inUse {
            return (SweptImage(digest: digest, bytes: bytes, isInUse: true), nil)
        } catch .system(_, _, .noSuchFileOrDirectory) {
            return nil
        }
    }

    /// Throws `inUse` when somebody holds it.
    private func checkUnused(_ digest: ImageDigest) throws(ImageError) -> FilePath? {
        let directory = directory(of: digest)
        let lock = try Descriptor(directory, O_RDONLY | O_DIRECTORY)
        guard try lock.lockAtOnce(.exclusive, directory) else { throw .inUse(digest.short) }
        lock.unlock()
        return nil
    }
}
