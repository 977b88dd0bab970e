// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import DockerAPI
internal import Images
internal import Policy

/// `sandboxd image load`: gives an image to a container engine.
struct ImageLoad: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "load",
        abstract: "Gives an image to a rootless Docker or Podman, unless it has it already.",
        discussion: """
            The engine keeps a copy of its own, with a label that says what it was loaded from: \
            a run gets exactly the image that its profile names, on either engine.
            """
    )

    @OptionGroup var options: ImageStoreOptions
    @OptionGroup var engine: EngineOptions

    @Argument(help: ArgumentHelp("The image's name.", valueName: "name"))
    var name: String

    func run() async throws {
        try await ImageCommand.run { () async throws in
            let store = try options.store()
            let image = try store.resolve(name)
            let lease = try store.hold(image)
            try await EngineLoader(try engine.client(), store).bring(image, called: name)
            withExtendedLifetime(lease) {}
        }
    }
}
