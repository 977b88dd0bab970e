// SPDX-License-Identifier: Apache-2.0
internal import JSON

extension ArchiveLayout {
    /// As `docker save` has it: manifest.json is a list of images, each with the names of its files.
    static func docker(
        _ manifest: [UInt8],
        in contents: ArchiveContents
    ) throws(ImageError) -> ArchiveLayout {
        let file = contents.file
        guard let value = JSONParser.parse(manifest), case .array(let images) = value else {
            throw file.refusal("its manifest.json is no JSON list")
        }
        guard images.count == 1, let image = images.first else {
            throw file.refusal("it has \(images.count) images: save one at a time")
        }
        guard let path = image["Config"]?.text,
            let bytes = try contents.document(path)
        else { throw file.refusal("its configuration is not in it") }
        let config = try ImageConfig(bytes, refuse: file.refusal)
        try check(config.digest, calledBy: path, file)
        var layers: [(ArchiveContents.Member, ImageDigest?)] = []
        for (index, layer) in (image["Layers"]?.elements ?? []).enumerated() {
            guard let member = layer.text.flatMap({ contents.member($0) }) else {
                throw file.refusal("layer \(index + 1) is not in it")
            }
            // Its content is known by the configuration's word for it.
            layers.append((member, nil))
        }
        return ArchiveLayout(
            config: config,
            layers: layers,
            name: image["RepoTags"]?.elements.first?.text,
            identities: try identities(in: contents)
        )
    }

    /// A configuration's file is called by its digest: `<hex>.json`, or `blobs/sha256/<hex>`.
    private static func check(
        _ digest: ImageDigest,
        calledBy path: String,
        _ file: ArchiveFile
    ) throws(ImageError) {
        let last = path.split(separator: "/").last ?? ""
        let word = last.hasSuffix(".json") ? last.dropLast(5) : last
        guard let named = ImageDigest("sha256:" + word), named != digest else { return }
        throw file.refusal("its configuration is called \(named), and is \(digest)")
    }

    /// Newer engines write both layouts at once, and call an image by what index.json says.
    private static func identities(
        in contents: ArchiveContents
    ) throws(ImageError) -> Set<ImageDigest> {
        guard let bytes = try contents.document("index.json"),
            let index = JSONParser.parse(bytes)
        else { return [] }
        let digests = (index["manifests"]?.elements ?? []).compactMap { manifest in
            manifest["digest"]?.text.flatMap { ImageDigest($0) }
        }
        return Set(digests)
    }
}
