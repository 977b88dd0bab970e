// SPDX-License-Identifier: Apache-2.0
internal import DockerAPI
internal import Glibc
internal import Images
internal import Kernel
internal import Synchronization
internal import SystemPackage

/// An image on its way from a registry through a container engine into the store.
struct Puller {
    /// Why what the engine pulled was not taken.
    enum Failure: Error, CustomStringConvertible {
        /// The engine does not say which manifest the reference was.
        case noManifest(String)
        /// The tag was moved to another image while it was pulled.
        case moved(String)
        /// Somebody else listens at the engine's socket, who would be given the credentials.
        case stranger(UInt32?)

        var description: String {
            switch self {
            case .noManifest(let reference):
                "the engine does not say which digest \(reference) has: name it with its digest"
            case .moved(let reference):
                "\(reference) was moved to another image while it was pulled: pull it again"
            case .stranger(let user):
                "the engine's socket is listened on by user \(user.map(String.init) ?? "unknown"), "
                    + "who is neither root nor you, in a directory that is not only his: "
                    + "credentials are not sent there"
            }
        }
    }

    /// As much as a store takes of one image.
    private static let archiveLimit = 32 << 30

    let client: DockerClient
    let store: ImageStore
    let auth: RegistryAuth?

    /// Pulls the image and imports it. The engine keeps what it had before, and nothing else.
    func pull(_ wanted: ImageReference, as name: String) async throws -> ImageImporter.Outcome {
        ImageCommand.say("image \(name): the engine pulls \(wanted)…")
        let wasThere = try await client.inspect(image: wanted) != nil
        if auth != nil {
            // Who answered just now; the registry's password is not for him to see.
            let listener = await client.listener
            guard isTrusted(listener) else { throw Failure.stranger(listener) }
        }
        let digests = Digests()
        let pulled = try await client.pull(wanted, auth: auth) { digests.take($0.status) }
        do {
            let manifest = try manifest(of: wanted, pulled, said: digests.last)
            let outcome = try await take(pulled, manifest, wanted, as: name)
            if !wasThere { await remove(wanted, name) }
            return outcome
        } catch {
            if !wasThere { await remove(wanted, name) }
            throw error
        }
    }

    /// Whether the one who listens is whom the operator means: root, himself, or the one who alone can
    /// put a socket into that directory.
    private func isTrusted(_ listener: UInt32?) -> Bool {
        guard let listener else { return false }
        if listener == 0 || listener == geteuid() { return true }
        let directory = FilePath(client.address.socketPath).removingLastComponent()
        var status = stat()
        guard directory.withPlatformString({ stat($0, &status) }) == 0 else { return false }
        return status.st_uid == listener && status.st_mode & 0o022 == 0
    }

    private func take(
        _ pulled: EngineImage,
        _ manifest: ImageDigest,
        _ wanted: ImageReference,
        as name: String
    ) async throws -> ImageImporter.Outcome {
        let file = try scratch()
        let path = FilePath("the engine's archive of \(wanted)")
        _ = try await client.save(
            try ImageReference(pulled.id),
            to: file,
            byteLimit: Self.archiveLimit
        )
        guard let id = ImageDigest(pulled.id) else { throw Failure.noManifest("\(wanted)") }
        return try ImageImporter(store: store, progress: ImageCommand.say).image(
            of: ImageArchive(open: file.number, called: path),
            as: name,
            from: .init(reference: "\(wanted)", manifest: manifest, id: id)
        )
    }

    /// A file of the store without a name, so that nothing is left of it, however this ends.
    private func scratch() throws(ImageError) -> Descriptor {
        let path = try store.scratchFile()
        let file: Descriptor
        do throws(Errno) {
            let flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC
            file = Descriptor(
                owning: try kernel { path.withPlatformString { open($0, flags, 0o600) } }
            )
            // A build that removes what others left may have been quicker.
            _ = path.withPlatformString { unlink($0) }
        } catch {
            throw .system(doing: "create", path, error)
        }
        return file
    }

    /// The digest of what was pulled: the reference's own, or what the engine says of its tag.
    private func manifest(
        of wanted: ImageReference,
        _ pulled: EngineImage,
        said: ImageDigest?
    ) throws(Failure) -> ImageDigest {
        let known = pulled.digests.compactMap { name -> ImageDigest? in
            let parts = name.split(separator: "@", maxSplits: 1)
            guard parts.count == 2, Self.isSame(String(parts[0]), wanted.name) else { return nil }
            return ImageDigest(String(parts[1]))
        }
        let asked = wanted.digest.flatMap { ImageDigest($0) } ?? said
        if let asked {
            guard known.isEmpty || known.contains(asked) else { throw .moved("\(wanted)") }
            return asked
        }
        guard let first = known.first else { throw .noManifest("\(wanted)") }
        return first
    }

    /// Whether two names are one: engines leave out or put in what stands for Docker's own registry.
    private static func isSame(_ left: String, _ right: String) -> Bool {
        func plain(_ name: String) -> Substring {
            name.trimmingPrefix("docker.io/").trimmingPrefix("library/")
        }
        return plain(left) == plain(right)
    }

    private func remove(_ wanted: ImageReference, _ name: String) async {
        do throws(DockerError) {
            _ = try await client.remove(image: wanted)
        } catch {
            // An image too many in the engine; what was pulled is pulled.
            ImageCommand.say(
                "image \(name): the engine keeps what it pulled, ignoring: \(error.call.rawValue)"
            )
        }
    }
}

/// The digest that an engine tells while it pulls: Docker does, in a line for people.
private final class Digests: Sendable {
    private let found = Mutex<ImageDigest?>(nil)

    var last: ImageDigest? { found.withLock { $0 } }

    func take(_ status: String) {
        guard status.hasPrefix("Digest: "), let digest = ImageDigest(String(status.dropFirst(8)))
        else { return }
        found.withLock { $0 = digest }
    }
}
