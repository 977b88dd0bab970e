// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import FoundationEssentials
internal import Images
internal import SystemPackage

/// `sandboxd image build`: makes an image from a recipe.
struct ImageBuild: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "build",
        abstract: "Builds an image from a recipe, unless it is there already.",
        discussion: """
            The image is made of Debian packages by mmdebstrap, as root or as a user with \
            subordinate ids. It appears when it is complete, and not before; what had the name \
            stays as the previous image. A container engine that is named gets it too.
            """
    )

    @OptionGroup var options: ImageStoreOptions
    @OptionGroup var engine: EngineOptions

    @Option(
        help: ArgumentHelp(
            "A Debian mirror's URL, or a file with sources of apt's.",
            valueName: "mirror"
        )
    )
    var mirror: String?

    @Argument(help: ArgumentHelp("The directory with recipe.yaml.", valueName: "directory"))
    var directory: String

    func run() async throws {
        try await ImageCommand.run { () async throws in
            // Known before the minutes that a build takes.
            let client = try engine.clientIfNamed()
            let store = try options.store()
            let image = try build(store)
            guard let client else { return }
            let lease = try store.hold(image)
            try await EngineLoader(client, store).bring(image, called: name(image))
            withExtendedLifetime(lease) {}
        }
    }

    private func build(_ store: ImageStore) throws(ImageError) -> Image {
        let builder = ImageBuilder(
            store: store,
            mirror: mirror,
            environment: ProcessInfo.processInfo.environment,
            progress: ImageCommand.say
        )
        switch try builder.build(FilePath(directory)) {
        case .built(let image):
            let size = "\(image.facts.bytes / 1_000_000) MB"
            ImageCommand.say(
                "image \(name(image)): built \(image.digest.short), "
                    + "\(image.facts.packageCount) packages, \(size)"
            )
            return image
        case .upToDate(let image):
            ImageCommand.say("image \(name(image)): \(image.digest.short) is up to date")
            return image
        }
    }

    private func name(_ image: Image) -> String {
        image.name ?? image.digest.short
    }
}
