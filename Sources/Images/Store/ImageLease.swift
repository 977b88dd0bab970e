// SPDX-License-Identifier: Apache-2.0
/// The right to use an image: nobody removes it for as long as this object lives.
///
/// It is a shared lock (flock(2)) on the image's directory, which a reader can take too, so the
/// kernel gives it back when the process dies. Sandboxes cannot reach it: they see the rootfs
/// inside the directory, never the directory.
package final class ImageLease: Sendable {
    /// What is held.
    package let image: Image

    private let lock: Descriptor

    /// Takes over `lock`, which is held on the directory of `image`.
    init(image: Image, lock: consuming Descriptor) {
        self.image = image
        self.lock = lock
    }

    deinit {
        lock.unlock()
    }
}
