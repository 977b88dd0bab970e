// SPDX-License-Identifier: Apache-2.0
internal import DockerAPI
internal import Images
internal import Policy

/// The copies of our images that a container engine has: those with our label.
struct EngineCopies {
    /// One of them.
    struct Copy {
        /// What it was loaded from, as its label says; nothing makes sure that it is a digest.
        let digest: String
        /// The names that it was loaded with.
        fileprivate let tags: [String]
    }

    private let client: DockerClient

    init(_ client: DockerClient) {
        self.client = client
    }

    /// Those whose image does not stay. What is not called as we call it is left alone: an image that
    /// somebody made from one of ours has its label too.
    func orphans(staying: Set<ImageDigest>) async throws(DockerError) -> [Copy] {
        try await client.images(labels: [:]).compactMap { image in
            guard let label = image.labels[ContainerPlace.Label.image],
                let digest = ImageDigest(label), digest.description == label,
                !staying.contains(digest)
            else { return nil }
            let tags = image.tags.filter(Self.isOurs)
            return tags.isEmpty ? nil : Copy(digest: label, tags: tags)
        }
    }

    /// Podman puts a host before it.
    private static func isOurs(_ tag: String) -> Bool {
        [EngineLoader.repository, "localhost/" + EngineLoader.repository]
            .contains { tag.hasPrefix($0) }
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
