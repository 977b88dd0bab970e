// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import SystemPackage

/// Names that move from one image to another.
extension ImageStore {
    /// Makes `image` the candidate of `name`: the one that may be tried under it.
    ///
    /// - Returns: the image that `name` stands for.
    package func nominate(_ image: Image, for name: String) throws(ImageError) -> Image {
        try Self.check(name: name)
        let record = try change(name) { (record) throws(ImageError) in
            guard try self.image(image.digest, name: nil) != nil else {
                throw .missing(image.digest.short, store: path)
            }
            var record = record
            record.candidate = image.digest
            return record
        }
        guard let current = try self.image(record.digest, name: name) else {
            throw .missing(name, store: path)
        }
        return current
    }

    /// Takes the candidacy away again; for another candidate, or none, nothing is done.
    package func dismiss(_ image: Image, from name: String) throws(ImageError) {
        _ = try change(name) { record in
            var record = record
            if record.candidate == image.digest { record.candidate = nil }
            return record
        }
    }

    /// Moves `name` from the image that it stands for to its candidate, in one step.
    ///
    /// Throws `moved`, and changes nothing, when `name` stands for another image than `current` by
    /// now, or has another candidate.
    package func activate(
        _ candidate: Image,
        as name: String,
        insteadOf current: Image
    ) throws(ImageError) {
        _ = try change(name) { (record) throws(ImageError) in
            guard record.digest == current.digest, record.candidate == candidate.digest else {
                throw .moved(name)
            }
            return record.moved(to: candidate.digest, recipe: nil)
        }
    }

    /// Moves `name` back to the image that it stood for before; again, and it is forward.
    ///
    /// Throws `moved`, and changes nothing, when those are other images by now.
    package func rollBack(
        _ name: String,
        to previous: Image,
        from current: Image
    ) throws(ImageError) {
        _ = try change(name) { (record) throws(ImageError) in
            guard record.digest == current.digest, record.previous == previous.digest else {
                throw .moved(name)
            }
            return record.moved(to: previous.digest, recipe: nil)
        }
    }

    /// Changes the record of a name that is there.
    private func change(
        _ name: String,
        _ body: (NameRecord) throws(ImageError) -> NameRecord
    ) throws(ImageError) -> NameRecord {
        // Without any name there is nothing to lock either.
        guard try record(name) != nil else { throw .missing(name, store: path) }
        let lock = try lockNames()
        defer { extendLifetime(lock) }
        guard let before = try record(name) else { throw .missing(name, store: path) }
        let after = try body(before)
        if after != before { try write(after, as: name) }
        return after
    }
}
