// SPDX-License-Identifier: Apache-2.0
internal import DockerAPI
internal import Images
internal import Policy

/// The copies of a store's images that a container engine has: those with our labels.
struct EngineCopies {
    /// One of them.
    struct Copy {
        /// What it was loaded from, as its label says; nothing makes sure that it is a digest.
        let digest: String
        /// The names that it was loaded with.
        fileprivate let tags: [String]
    }

    private let client: DockerClient
    private let store: ImageStore

    init(_ client: DockerClient, _ store: ImageStore) {
        self.client = client
        self.store = store
    }

    /// Those whose image does not stay. What another store has loaded is left alone, and what is not
    /// called as we call it: an image that somebody made from one of ours has its labels too.
    func orphans(staying: Set<ImageDigest>) async throws(DockerError) -> [Copy] {
        let ours = try await client.images(labels: [ContainerPlace.Label.store: store.identity])
        return ours.compactMap { image in
            guard image.labels[ContainerPlace.Label.store] == store.identity,
                let label = image.labels[ContainerPlace.Label.image],
                let digest = ImageDigest(label), digest.description == label,
                !staying.contains(digest)
            else { return nil }
            let tags = image.tags.filter(Self.isOurs)
            return tags.isEmpty ? nil : Copy(digest: label, tags: tags)
        }
    }

    /// Podman puts a host before it.
    private static func isOurs(_ tag: String) -> Bool {
        ["", "localhost/", "docker.io/"].contains { tag.hasPrefix($0 + EngineLoader.repository) }
    }

    /// Takes the names that we gave it, and with its last one it goes; answers whether it is gone, which it is not while
    /// containers use it.
    func remove(_ copy: Copy) async throws(DockerError) -> Bool {
        for name in copy.tags {
            do throws(DockerError) {
                _ = try await client.remove(image: try ImageReference(name))
            } catch {
                guard case .inUse = error.reason else { throw error }
                return false
            }
        }
        return true
    }
}
