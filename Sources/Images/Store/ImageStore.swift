// SPDX-License-Identifier: Apache-2.0
internal import Glibc
package import SystemPackage

/// A directory of images, shared by any number of daemons and builders of one machine.
///
/// ```
/// <store>/sha256-<digest>/rootfs/…     a tree, complete and never changed
/// <store>/sha256-<digest>/image.yaml   what is known about it
/// <store>/sha256-<digest>/versions.yaml   the versions that its recipe wants to be told, if any
/// <store>/names/<name>                 which digest has the name, and for which recipe
/// <store>/.building-<pid>/…            half-built; seen by nobody
/// <store>/.removing-<pid>-<digest>/…   half-removed; seen by nobody
/// <store>/.build.lock                  held by the one build that runs
/// ```
///
/// An image appears and disappears by one rename(2), under a lock on `names`, which is held for
/// no more than a few such calls. Whoever uses an image holds a lock on its directory.
package struct ImageStore: Hashable, Sendable {
    /// The directory; it need not exist before something is built.
    package let path: FilePath

    /// Opens the store at `path`; one that is not there yet is an empty one.
    package static func open(_ path: FilePath) throws(ImageError) -> ImageStore {
        do {
            _ = try Descriptor(path, O_RDONLY | O_DIRECTORY)
        } catch .system(_, _, .noSuchFileOrDirectory) {
            return ImageStore(path: path)
        }
        return ImageStore(path: path)
    }

    /// A short name for this store among those of the machine: of the place that it is at.
    package var identity: String {
        let place = path.withPlatformString { realpath($0, nil) }
        defer { free(place) }
        // One that is not there yet has no images either.
        let text = place.map { String(cString: $0) } ?? path.string
        return String(ImageDigest(ofBytes: Array(text.utf8)).hex.prefix(12))
    }

    /// Refuses what is no name of an image.
    package static func check(name: String) throws(ImageError) {
        guard ImageName.isValid(name) else { throw .malformedName(name) }
    }

    /// All images, by name, those without a name last.
    package func list() throws(ImageError) -> [Image] {
        let names = try names()
        var images: [Image] = []
        for digest in try digests() {
            let holders = names.filter { $0.value.digest == digest }.keys.sorted()
            for name in holders.isEmpty ? [nil] : holders.map(Optional.some) {
                guard let image = try image(digest, name: name) else { continue }
                images.append(image)
            }
        }
        return images.sorted { ($0.name ?? "~", $0.digest.hex) < ($1.name ?? "~", $1.digest.hex) }
    }

    /// The image that is called `name` now.
    package func resolve(_ name: String) throws(ImageError) -> Image {
        try Self.check(name: name)
        guard let record = try record(name), let image = try image(record.digest, name: name)
        else { throw .missing(name, store: path) }
        return image
    }

    /// Holds `image`, so that it cannot be removed while the lease lives.
    ///
    /// An image that was removed since it was resolved is missing.
    package func hold(_ image: Image) throws(ImageError) -> ImageLease {
        let missing = ImageError.missing(image.name ?? image.digest.short, store: path)
        do throws(ImageError) {
            let flags = O_RDONLY | O_DIRECTORY
            let lock = try Descriptor(image.directory, flags)
            // Only who removes it locks it from everybody.
            guard try lock.lockAtOnce(.shared, image.directory) else { throw missing }
            // It may have been renamed between the opening and the locking of it.
            guard try isSame(lock, image.directory) else { throw missing }
            return ImageLease(image: image, lock: lock)
        } catch .system(_, _, .noSuchFileOrDirectory) {
            throw missing
        }
    }

    /// Whether the open directory is still the one at `path`.
    private func isSame(_ open: borrowing Descriptor, _ path: FilePath) throws(ImageError) -> Bool {
        let fd = open.fd
        var ours = stat()
        var theirs = stat()
        try system("look at", path) { _ in fstat(fd, &ours) }
        try system("look at", path) { lstat($0, &theirs) }
        return ours.st_ino == theirs.st_ino && ours.st_dev == theirs.st_dev
    }
}
