// SPDX-License-Identifier: Apache-2.0
package import SystemPackage

/// One image of a store: a root file system, unpacked and complete, and how to run in it.
package struct Image: Hashable, Sendable {
    /// What it was asked for by; none when no name stands for it.
    package let name: String?

    /// The digest of what is in it, which never changes.
    package let digest: ImageDigest

    /// Where it lies: `<store>/sha256-<digest>`.
    package let directory: FilePath

    /// What was known when it was built.
    package let facts: ImageFacts

    /// The tree that an engine mounts as the sandbox's root, read-only, nosuid and nodev.
    ///
    /// Everything in it belongs to whoever built it, and everybody may read it.
    package var rootfs: FilePath { directory.appending("rootfs") }

    /// The environment that jobs start from.
    package var environment: [String: String] { facts.environment }

    /// Who jobs are.
    package var user: ImageUser { facts.user }
}

/// What is known about an image and is not a file of its tree.
package struct ImageFacts: Hashable, Sendable {
    /// The environment that jobs start from; part of the digest.
    package let environment: [String: String]

    /// Who jobs are; part of the digest.
    package let user: ImageUser

    /// The sizes of its files, hard links counted once.
    package let bytes: UInt64

    /// How many Debian packages are installed in it.
    package let packageCount: Int

    /// When it was built or imported, in seconds since 1970.
    package let createdUnixSeconds: Int64

    /// What it was imported from; none for what a recipe built. Content that was there already
    /// keeps what was known of it first.
    package var source: ImageSource? = nil

    /// The versions of what its recipe wants to be told of, by the package's name.
    package var versions: [String: String] = [:]
}

/// Where an imported image comes from.
package struct ImageSource: Hashable, Sendable {
    /// What was asked for, or what the archive calls it, or the archive's own name.
    package let reference: String

    /// The digest of the registry's manifest that the reference meant when it was pulled.
    package let manifest: ImageDigest?

    /// The digest of the image's configuration, which names all its layers' contents.
    package let config: ImageDigest
}

/// The user that jobs of an image are, as `/etc/passwd` has it.
package struct ImageUser: Hashable, Sendable {
    /// The name of the user and of its group.
    package let name: String

    /// The user's id, inside the sandbox.
    package let uid: UInt32

    /// The group's id, inside the sandbox.
    package let gid: UInt32

    /// The home directory, an absolute path.
    package let home: String

    /// The shell, an absolute path.
    package let shell: String
}
