// SPDX-License-Identifier: Apache-2.0
internal import Glibc
package import SystemPackage

/// Makes images of archives that others have made.
///
/// An import takes its turn among the builds of a store, and like one it works where nobody looks,
/// and leaves nothing when it fails. Nothing in the archive is believed: its layers must be what
/// their digests say, and are put together in memory before a file is made.
package struct ImageImporter {
    /// What became of an import.
    package struct Outcome: Hashable, Sendable {
        package let image: Image

        /// Whether the name stands for the image now. A name that stands for another one has it as
        /// its candidate.
        package let isCurrent: Bool

        /// Where the archive comes from. Content that was there before keeps its own source.
        package let source: ImageSource

        /// What the image says of itself; how it would be run is for people to know.
        package let config: ImageConfig

        /// Devices and FIFOs that were left out.
        package let specialCount: Int
    }

    /// Where an archive comes from, when it was pulled.
    package struct Origin: Hashable, Sendable {
        let reference: String
        let manifest: ImageDigest
        /// What the engine calls the image.
        let id: ImageDigest

        package init(reference: String, manifest: ImageDigest, id: ImageDigest) {
            self.reference = reference
            self.manifest = manifest
            self.id = id
        }
    }

    /// Where images go; made when it is not there yet.
    package let store: ImageStore

    private let tools: ImportTools
    private let progress: (String) -> Void
    var limits = ImportLimits()

    /// Prepares to import.
    ///
    /// - Parameters:
    ///   - store: Where images go.
    ///   - searchPath: Where gzip and zstd are found.
    ///   - progress: Gets a line for people when something begins that takes a while.
    package init(
        store: ImageStore,
        searchPath: [FilePath] = ["/usr/bin", "/bin"],
        progress: @escaping (String) -> Void
    ) {
        self.store = store
        tools = ImportTools(searchPath: searchPath)
        self.progress = progress
    }

    /// Makes the image of `archive`, and calls it `name`, or makes it the candidate of `name`.
    ///
    /// On failure nothing new is visible, and nothing of the import is left.
    package func image(
        of archive: ImageArchive,
        as name: String,
        from origin: Origin? = nil
    ) throws(ImageError) -> Outcome {
        try ImageStore.check(name: name)
        let contents = try ArchiveContents(archive.file)
        let archived = try ArchivedImage(contents, architecture: Self.architecture)
        if let origin, !archived.identities.contains(origin.id) {
            throw archive.file.refusal(
                "the engine was asked for \(origin.id), and gave \(archived.config.digest)"
            )
        }
        let say = { (line: String) in progress("image \(name): \(line)") }
        return try StoreSite.use(of: store, progress: say) { site, lock throws(ImageError) in
            try site.make()
            var spool = LayerSpool(
                archive: archive.path,
                contents: contents,
                site: site,
                tools: tools,
                bytesLeft: limits.layerBytes
            )
            var layers: [ArchiveFile] = []
            for (index, layer) in archived.layers.enumerated() {
                site.progress("checking layer \(index + 1) of \(archived.layers.count)…")
                layers.append(try spool.take(layer, number: index + 1, holding: lock))
            }
            var tree = try stack(layers)
            site.progress("unpacking…")
            let source = source(archived, archive, origin)
            let facts = try unpack(&tree, layers, to: site.rootfs, source)
            let digest = try site.publish(facts, as: name, Self.record)
            return try outcome(digest, name, source, archived.config, tree)
        }
    }

    /// A name that is free stands for the image at once; one that is not has it for a candidate.
    private static func record(_ before: NameRecord?, _ digest: ImageDigest) -> NameRecord {
        guard var record = before else { return NameRecord(digest: digest) }
        if record.digest != digest { record.candidate = digest }
        return record
    }

    private func source(
        _ archived: ArchivedImage,
        _ archive: ImageArchive,
        _ origin: Origin?
    ) -> ImageSource {
        let file = shown((archive.path.lastComponent?.string ?? "").utf8)
        return ImageSource(
            reference: origin?.reference ?? archived.name ?? file,
            manifest: origin?.manifest,
            config: archived.config.digest
        )
    }

    private func outcome(
        _ digest: ImageDigest,
        _ name: String,
        _ source: ImageSource,
        _ config: ImageConfig,
        _ tree: LayeredTree
    ) throws(ImageError) -> Outcome {
        let images = try store.images(named: name)
        let isCurrent = images.current?.digest == digest
        guard let image = isCurrent ? images.current : images.candidate, image.digest == digest
        else { throw .moved(name) }
        return Outcome(
            image: image,
            isCurrent: isCurrent,
            source: source,
            config: config,
            specialCount: tree.specialCount
        )
    }

    /// This machine's processor, in the word that images use.
    private static var architecture: String {
        #if arch(x86_64)
            "amd64"
        #elseif arch(arm64)
            "arm64"
        #else
            #error("no word is known for this processor")
        #endif
    }
}
