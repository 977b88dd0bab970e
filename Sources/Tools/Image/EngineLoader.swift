// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import DockerAPI
internal import Glibc
internal import Images
internal import Kernel
internal import Policy
internal import SystemPackage

/// Brings images of our store into a container engine.
struct EngineLoader {
    /// Where the images are in the engine; only their labels count.
    static let repository = "sandboxd/"

    private let client: DockerClient
    private let store: ImageStore

    init(_ client: DockerClient, _ store: ImageStore) {
        self.client = client
        self.store = store
    }

    /// Loads the image unless the engine has it, and says which it was.
    func bring(_ image: Image, called name: String) async throws(DockerError) {
        let engine = try await client.info().engine
        let isNew = try await load(image, called: name)
        let when = isNew ? "now" : "already"
        ImageCommand.say("image \(name): \(engine) has \(image.digest.short) \(when)")
    }

    /// Loads the image unless the engine has it; answers whether it did.
    func load(_ image: Image, called name: String) async throws(DockerError) -> Bool {
        let labels = [
            ContainerPlace.Label.image: "\(image.digest)",
            ContainerPlace.Label.store: store.identity,
        ]
        guard try await copies(with: labels).isEmpty else { return false }
        // Its own for every store, so that none takes another one's name away.
        let tag = image.digest.hex.prefix(12) + "-" + store.identity
        let reference = try ImageReference(Self.repository + name + ":" + tag)
        let (archive, process) = try Self.archive(image.rootfs.string)
        let id: String
        do throws(DockerError) {
            id = try await client.importImage(
                archive,
                as: reference,
                changes: labels.sorted { $0.key < $1.key }
                    .map { "LABEL \"\($0.key)\"=\"\($0.value)\"" }
            )
        } catch {
            kill(process, SIGKILL)
            waitpid(process, nil, 0)
            throw error
        }
        // It has written all: the engine has read to the end.
        var status: Int32 = 0
        guard waitpid(process, &status, 0) == process, status == 0 else {
            _ = try await client.remove(image: try ImageReference(id))
            throw DockerError(.imageImport, .lost("tar could not read all of the image"))
        }
        guard try await copies(with: labels).contains(where: { $0.id == id }) else {
            throw DockerError(
                .imageImport,
                .unreadable("the engine does not find \(id) by the label that it was given")
            )
        }
        return true
    }

    /// The images that have all of these labels. Podman 4.3 finds none by more than one.
    private func copies(with labels: [String: String]) async throws(DockerError) -> [EngineImage] {
        let label = ContainerPlace.Label.image
        let ofDigest = try await client.images(labels: labels.filter { $0.key == label })
        return ofDigest.filter { image in labels.allSatisfy { image.labels[$0.key] == $0.value } }
    }

    /// A tree as a tar archive: where to read it, and the process that writes it. All of it is
    /// root's, as in the sandboxes of the native engine.
    private static func archive(
        _ tree: String
    ) throws(DockerError) -> (Descriptor, pid_t) {
        let arguments = [
            "tar", "--create", "--file=/proc/self/fd/3", "--directory=" + tree, "--sort=name",
            "--numeric-owner", "--owner=0", "--group=0", ".",
        ]
        do throws(Errno) {
            let (reading, writing) = try Descriptor.pipe()
            let process = try kernel {
                ArgumentVector.with(arguments) { clx_spawn("/bin/tar", $0, writing.number, -1) }
            }
            return (reading, process)
        } catch {
            throw DockerError(.imageImport, .source(error))
        }
    }
}
