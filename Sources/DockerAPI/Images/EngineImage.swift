// SPDX-License-Identifier: Apache-2.0

/// An image that the engine has.
package struct EngineImage: Sendable, Hashable {
    /// `sha256:` and 64 digits.
    package let id: String
    /// Its names, as the engine writes them: Podman adds the registry, Docker leaves it out.
    package let tags: [String]
    /// Its names by the digest of a registry's manifest. Podman has one for what was never there.
    package let digests: [String]
    package let labels: [String: String]
    /// As the engine counts them: layers that others share included.
    package let sizeBytes: Int?
}

extension EngineImage {
    /// Of an inspection, whose labels are in its configuration.
    init(inspected reading: Reading) throws(DockerError.Reason) {
        try self.init(reading, labels: try reading.object("Config")?.dictionary("Labels") ?? [:])
    }

    /// Of a list's element.
    init(listed reading: Reading) throws(DockerError.Reason) {
        try self.init(reading, labels: try reading.dictionary("Labels"))
    }

    private init(
        _ reading: Reading,
        labels: [String: String]
    ) throws(DockerError.Reason) {
        let written = try reading.requiredText("Id")
        guard let id = Self.identifier(written) else {
            throw reading.wrong("Id", "'\(Visible.text(written, limit: 200))', and no image's id")
        }
        self.id = id
        self.labels = labels
        // How some write that there is none.
        tags = try reading.texts("RepoTags").filter { $0 != "<none>:<none>" }
        digests = try reading.texts("RepoDigests").filter { !$0.hasPrefix("<none>@") }
        sizeBytes = try reading.integer("Size")
    }

    /// An id, which Podman sometimes writes without the algorithm.
    static func identifier(_ text: String) -> String? {
        let whole = text.hasPrefix("sha256:") ? text : "sha256:" + text
        return ImageGrammar.isDigest(whole) ? whole : nil
    }
}
