// SPDX-License-Identifier: Apache-2.0
internal import JSON

/// The one image of an archive: its configuration, and where its layers are.
struct ArchivedImage {
    /// One layer as the archive has it.
    struct Layer {
        let member: ArchiveContents.Member

        /// The digest of these bytes, which may be compressed; nil when nothing says.
        let digest: ImageDigest?

        /// The digest of what is in it, decompressed.
        let content: ImageDigest
    }

    let config: ImageConfig

    /// From the lowest on.
    let layers: [Layer]

    /// What the archive calls the image, if it does.
    let name: String?

    /// Everything that an engine may call this image by: digests of its configuration and manifest.
    let identities: Set<ImageDigest>

    /// The kernel's own limit for an overlay; engines take 127.
    private static let layerLimit = 500

    /// Finds the image in an archive of either layout.
    init(_ contents: ArchiveContents, architecture: String) throws(ImageError) {
        let found: ArchiveLayout
        if let manifest = try contents.document("manifest.json") {
            found = try .docker(manifest, in: contents)
        } else if let index = try contents.document("index.json") {
            found = try .oci(index, in: contents, architecture: architecture)
        } else {
            throw contents.file.refusal(
                "it has neither manifest.json nor index.json: make it with 'docker save IMAGE' or "
                    + "'skopeo copy … oci-archive:FILE'"
            )
        }
        config = found.config
        name = found.name.map { shown($0.utf8, limit: 400) }
        identities = found.identities.union([found.config.digest])
        if let written = config.architecture, written != architecture {
            throw contents.file.refusal(
                "it is for \(shown(written.utf8)), and this machine is \(architecture)"
            )
        }
        guard found.layers.count == config.layers.count else {
            throw contents.file.refusal(
                "its manifest names \(found.layers.count) layers, and its configuration "
                    + "\(config.layers.count)"
            )
        }
        guard config.layers.count <= Self.layerLimit else {
            throw contents.file.refusal(
                "it has \(config.layers.count) layers, and \(Self.layerLimit) are taken"
            )
        }
        layers = zip(found.layers, config.layers).map { layer, content in
            Layer(member: layer.member, digest: layer.digest, content: content)
        }
    }
}

/// What the manifest of an archive says.
struct ArchiveLayout {
    let config: ImageConfig
    let layers: [(member: ArchiveContents.Member, digest: ImageDigest?)]
    var name: String?
    var identities: Set<ImageDigest> = []
}
