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

    init(_ client: DockerClient) {
        self.client = client
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
        let digest = "\(image.digest)"
        let label = ContainerPlace.Label.image
        guard try await client.images(labels: [label: digest]).isEmpty else { return false }
        let reference = try ImageReference(
            Self.repository + name + ":" + image.digest.hex.prefix(12)
        )
        let (archive, process) = try Self.archive(image.rootfs.string)
        let id: String
        do throws(DockerError) {
            id = try await client.importImage(
                archive,
                as: reference,
                changes: ["LABEL \"\(label)\"=\"\(digest)\""]
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
        guard try await client.images(labels: [label: digest]).contains(where: { $0.id == id })
        else {
            throw DockerError(
                .imageImport,
                .unreadable("the engine does not find \(id) by the label that it was given")
            )
        }
        return true
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
