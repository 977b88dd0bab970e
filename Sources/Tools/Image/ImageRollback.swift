// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import Client
internal import DockerAPI
internal import Images

/// `sandboxd image rollback`: moves a name back.
struct ImageRollback: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rollback",
        abstract: "Moves a name back to the image that it stood for before.",
        discussion: """
            At once and without a trial; done again, it moves forward again. A container engine \
            that is named gets the image before that.
            """
    )

    @OptionGroup var options: ImageStoreOptions
    @OptionGroup var engine: EngineOptions

    @Argument(help: ArgumentHelp("The name that moves.", valueName: "name"))
    var name: String

    func run() async throws {
        try await ImageCommand.run { () async throws in
            let client = try engine.clientIfNamed()
            let store = try options.store()
            let images = try store.images(named: name)
            guard let current = images.current, let previous = images.previous else {
                throw ClientError.usage("image \(name) has no previous image")
            }
            let lease = try store.hold(previous)
            if let client { try await EngineLoader(client, store).bring(previous, called: name) }
            try store.rollBack(name, to: previous, from: current)
            ImageCommand.say(
                "image \(name): moved back from \(current.digest.short) to "
                    + previous.digest.short
            )
            withExtendedLifetime(lease) {}
        }
    }
}
