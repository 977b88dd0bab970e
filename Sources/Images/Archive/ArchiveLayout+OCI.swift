// SPDX-License-Identifier: Apache-2.0
internal import JSON

extension ArchiveLayout {
    /// Indexes that name indexes; the specification allows any number.
    private static let depthLimit = 4
    private static let descriptorLimit = 1000
    private static let nameKeys = [
        "io.containerd.image.name", "org.opencontainers.image.ref.name",
    ]

    /// As the OCI has it (image-layout.md): index.json leads to blobs, each called by its digest.
    static func oci(
        _ index: [UInt8],
        in contents: ArchiveContents,
        architecture: String
    ) throws(ImageError) -> ArchiveLayout {
        let file = contents.file
        guard let value = JSONParser.parse(index), case .object = value else {
            throw file.refusal("its index.json is no JSON object")
        }
        var search = Search(contents: contents, architecture: architecture)
        try search.collect(value, depth: 1)
        let manifests = search.found
        guard manifests.count == 1, let blob = manifests.first else {
            throw file.refusal(
                manifests.isEmpty
                    ? "it has no image for \(architecture)"
                    : "it has \(manifests.count) images for \(architecture): copy one at a time"
            )
        }
        let manifest = try blob.document(in: contents, "the manifest")
        guard let description = manifest["config"] else {
            throw file.refusal("its manifest names no configuration")
        }
        let bytes = try Blob(description, file).bytes(in: contents, "the configuration")
        var layers: [(ArchiveContents.Member, ImageDigest?)] = []
        for (number, layer) in (manifest["layers"]?.elements ?? []).enumerated() {
            let blob = try Blob(layer, file)
            layers.append(
                (try blob.member(in: contents, "layer \(number + 1)"), blob.digest)
            )
        }
        return ArchiveLayout(
            config: try ImageConfig(bytes, refuse: file.refusal),
            layers: layers,
            name: blob.name,
            identities: [blob.digest]
        )
    }

    /// The search for the manifests of an index that are images for this machine.
    private struct Search {
        let contents: ArchiveContents
        let architecture: String
        var found: [Blob] = []
        private var seen = 0

        init(contents: ArchiveContents, architecture: String) {
            self.contents = contents
            self.architecture = architecture
        }

        mutating func collect(_ index: JSONValue, depth: Int) throws(ImageError) {
            guard depth <= depthLimit else {
                throw contents.file.refusal("its indexes are nested too deeply")
            }
            for manifest in index["manifests"]?.elements ?? [] {
                seen += 1
                guard seen <= descriptorLimit else {
                    throw contents.file.refusal("it names more than \(descriptorLimit) manifests")
                }
                let blob = try Blob(manifest, contents.file)
                guard isWanted(manifest["platform"]) else { continue }
                let type = manifest["mediaType"]?.text ?? ""
                if type.hasSuffix(".index.v1+json") || type.hasSuffix(".manifest.list.v2+json") {
                    try collect(blob.document(in: contents, "an index"), depth: depth + 1)
                } else {
                    found.append(blob)
                }
            }
        }

        /// Attestations are for a platform that is none: `unknown`.
        private func isWanted(_ platform: JSONValue?) -> Bool {
            guard let platform, platform != .null else { return true }
            return platform["os"]?.text == "linux"
                && platform["architecture"]?.text == architecture
        }
    }

    /// What a descriptor says of a file of the archive (descriptor.md).
    private struct Blob {
        let digest: ImageDigest
        let bytes: Int
        let name: String?

        init(_ descriptor: JSONValue, _ file: ArchiveFile) throws(ImageError) {
            guard let digest = descriptor["digest"]?.text.flatMap({ ImageDigest($0) }),
                let bytes = descriptor["size"]?.int
            else { throw file.refusal("a descriptor has no sha256 digest, or no size") }
            self.digest = digest
            self.bytes = bytes
            let notes = descriptor["annotations"]
            name = ArchiveLayout.nameKeys.compactMap { notes?[$0]?.text }.first
        }

        func member(
            in contents: ArchiveContents,
            _ what: String
        ) throws(ImageError) -> ArchiveContents.Member {
            guard let member = contents.member("blobs/sha256/" + digest.hex) else {
                throw contents.file.refusal("\(what) is not in it: \(digest)")
            }
            guard member.bytes == bytes else {
                throw contents.file.refusal(
                    "\(what) has \(member.bytes) bytes, and its descriptor says \(bytes)"
                )
            }
            return member
        }

        /// The bytes of a short one, which are what the digest says.
        func bytes(
            in contents: ArchiveContents,
            _ what: String
        ) throws(ImageError) -> [UInt8] {
            _ = try member(in: contents, what)
            let bytes = try contents.document("blobs/sha256/" + digest.hex) ?? []
            let actual = ImageDigest(ofBytes: bytes)
            guard actual == digest else {
                throw contents.file.refusal("\(what) is called \(digest), and is \(actual)")
            }
            return bytes
        }

        func document(
            in contents: ArchiveContents,
            _ what: String
        ) throws(ImageError) -> JSONValue {
            guard let value = JSONParser.parse(try bytes(in: contents, what)) else {
                throw contents.file.refusal("\(what) is no JSON")
            }
            return value
        }
    }
}
