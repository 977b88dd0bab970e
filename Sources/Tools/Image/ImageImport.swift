// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import DockerAPI
internal import Images
internal import SystemPackage

/// `sandboxd image import`: makes an image of an archive.
struct ImageImport: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Makes an image of an archive, as 'docker save' or skopeo makes one.",
        discussion: """
            The archive is one image of 'docker save' or of 'skopeo copy … oci-archive:FILE'. Its \
            layers must be what their digests say. A free name stands for it at once; a name that \
            is taken keeps its image until 'image activate'. The archive's environment, user and \
            command are told, and not taken over: a profile says them. A container engine that is \
            named gets the image too.
            """
    )

    @OptionGroup var options: ImageStoreOptions
    @OptionGroup var engine: EngineOptions

    @Option(help: ArgumentHelp("What the image is called.", valueName: "name"))
    var name: String

    @Argument(help: ArgumentHelp("The archive.", valueName: "file"))
    var file: String

    func run() async throws {
        try await ImageCommand.run { () async throws in
            let client = try engine.clientIfNamed()
            let store = try options.store()
            let importer = ImageImporter(store: store, progress: ImageCommand.say)
            let outcome = try importer.image(of: ImageArchive(FilePath(file)), as: name)
            let lease = try store.hold(outcome.image)
            ImportReport(outcome, name: name).say()
            if let client {
                try await EngineLoader(client, store).bring(outcome.image, called: name)
            }
            withExtendedLifetime(lease) {}
        }
    }
}
