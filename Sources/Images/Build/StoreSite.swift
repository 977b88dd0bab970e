// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import SystemPackage

/// The hidden directory of a store in which one image comes into being.
struct StoreSite {
    let store: ImageStore

    /// Gets a line for people when something begins that takes a while.
    let progress: (String) -> Void

    /// Where it is: for this process only.
    let path: FilePath

    private init(store: ImageStore, progress: @escaping (String) -> Void) {
        self.store = store
        self.progress = progress
        path = store.path.appending(".building-\(getpid())")
    }

    /// Calls `body` with a site for itself, once no other image of the store comes into being.
    ///
    /// `body` gets the lock that keeps others waiting, for the programs that it starts. Whatever
    /// comes of it, the site is gone afterwards; should this process be killed, whoever is next
    /// removes it.
    static func use<Result>(
        of store: ImageStore,
        progress: @escaping (String) -> Void,
        _ body: (StoreSite, borrowing Descriptor) throws(ImageError) -> Result
    ) throws(ImageError) -> Result {
        try store.create()
        let lock = try store.lockForBuilding { progress("waiting for another build to end…") }
        defer { extendLifetime(lock) }
        try store.removeLeftovers()
        let site = StoreSite(store: store, progress: progress)
        let result: Result
        do {
            result = try body(site, lock)
        } catch {
            // What cannot be removed now, the next build removes.
            try? site.remove()
            throw error
        }
        do {
            try site.remove()
        } catch {
            // The image is there; the next build removes what is left.
            progress("ignoring what is left of its build: \(error)")
        }
        return result
    }

    /// Makes the site, with an empty root in it.
    func make() throws(ImageError) {
        try makeDirectory(path, mode: 0o700)
        try makeDirectory(directory, mode: 0o755)
        try makeDirectory(rootfs.path, mode: 0o755)
    }

    private func remove() throws(ImageError) {
        try Tree(root: path).remove()
    }

    /// What becomes the image's directory.
    private var directory: FilePath { path.appending("image") }

    /// What becomes its root file system.
    var rootfs: Rootfs { Rootfs(path: directory.appending("rootfs")) }

    /// Makes the root visible as an image, and changes the record of `name` to what `change`
    /// answers for the record that is there and the image's digest. What the name no longer claims
    /// is removed, unless somebody else does.
    ///
    /// - Returns: the image's digest.
    func publish(
        _ facts: ImageFacts,
        as name: String,
        _ change: (NameRecord?, ImageDigest) -> NameRecord
    ) throws(ImageError) -> ImageDigest {
        progress("computing its digest…")
        let digest = try ImageDigest.content(
            of: Tree(root: rootfs.path),
            environment: facts.environment,
            user: facts.user
        )
        try writeText(facts.yaml(), to: directory.appending("image.yaml"))
        try facts.writeVersions(in: directory)
        // One call for tens of thousands of files. fsync(2) on each takes minutes, and syncfs(2)
        // is hidden from Swift.
        sync()
        let displaced = try store.publish(directory, digest, as: name) { change($0, digest) }
        for digest in displaced {
            do {
                guard try store.removeIfUnused(digest) else { continue }
                progress("removed \(digest.short), which nobody needs any more")
            } catch {
                // The image is there; that another one is too is no failure of the build.
                progress("cannot remove \(digest.short), ignoring: \(error)")
            }
        }
        return digest
    }
}
