// SPDX-License-Identifier: Apache-2.0
internal import Glibc
package import SystemPackage

/// An archive of an image, as `docker save` or `skopeo copy … oci-archive:FILE` makes one.
package final class ImageArchive: Sendable {
    /// What errors call it.
    let path: FilePath

    let file: ArchiveFile

    /// Opens the archive at `path`.
    package init(_ path: FilePath) throws(ImageError) {
        self.path = path
        // Whatever else it is, nobody waits for it to be opened.
        let descriptor = try Descriptor(path, O_RDONLY | O_NONBLOCK)
        file = try ArchiveFile(descriptor, of: path)
    }

    /// Takes the open file `number`, which stays the caller's; errors call it `path`.
    package init(open number: Int32, called path: FilePath) throws(ImageError) {
        self.path = path
        let copy = try system("open", path) { _ in fcntl(number, F_DUPFD_CLOEXEC, 3) }
        file = try ArchiveFile(Descriptor(owning: copy), of: path)
    }
}
