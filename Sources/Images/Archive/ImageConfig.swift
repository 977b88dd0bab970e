// SPDX-License-Identifier: Apache-2.0
internal import JSON

/// What an image's configuration says (OCI image specification, config.md; Docker's is the same).
///
/// Only its layers count. How it would be run is told, and not obeyed: a profile says that.
package struct ImageConfig: Hashable, Sendable {
    /// The digest of the configuration, which is the image's id for Docker.
    package let digest: ImageDigest

    /// When the image was made, as it is written there.
    package let created: String?

    /// What would be run, as whom and where, each with a word for it: for people.
    package let settings: [String]

    /// The processor that it is for, in Go's word; nil when it does not say.
    let architecture: String?

    /// The digests of the layers, decompressed, from the lowest on.
    let layers: [ImageDigest]

    /// Reads a configuration; `refuse` makes the error of what is wrong with it.
    init(
        _ bytes: [UInt8],
        refuse: (String) -> ImageError
    ) throws(ImageError) {
        digest = ImageDigest(ofBytes: bytes)
        guard let value = JSONParser.parse(bytes), case .object = value else {
            throw refuse("its configuration is no JSON object")
        }
        if let system = value["os"]?.text, !system.isEmpty, system != "linux" {
            throw refuse("it is for \(shown(system.utf8)), and sandboxes are Linux")
        }
        architecture = value["architecture"]?.text.flatMap { $0.isEmpty ? nil : $0 }
        created = value["created"]?.text.map { shown($0.utf8, limit: 40) }
        settings = Self.settings(value["config"])
        guard let written = value["rootfs"]?["diff_ids"], case .array(let elements) = written,
            !elements.isEmpty
        else { throw refuse("its configuration names no layers (rootfs.diff_ids)") }
        var layers: [ImageDigest] = []
        for element in elements {
            guard let layer = element.text.flatMap({ ImageDigest($0) }) else {
                throw refuse("its configuration names a layer that is no sha256 digest")
            }
            layers.append(layer)
        }
        self.layers = layers
    }

    private static func settings(_ config: JSONValue?) -> [String] {
        var settings: [String] = []
        func add(_ word: String, _ value: JSONValue?) {
            let texts = value?.text.map { [$0] } ?? (value?.elements ?? []).compactMap(\.text)
            guard let first = texts.first, !first.isEmpty else { return }
            let words = texts.prefix(64).map { shown($0.utf8, limit: 500) }
            settings.append("\(word) \(words.joined(separator: " "))")
        }
        add("user", config?["User"])
        add("working directory", config?["WorkingDir"])
        add("entry point", config?["Entrypoint"])
        add("command", config?["Cmd"])
        for variable in (config?["Env"]?.elements ?? []).prefix(64) { add("variable", variable) }
        return settings
    }
}
