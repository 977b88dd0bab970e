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
        do {
            let store = try options.store()
            let image = try store.resolve(name)
            let lease = try store.hold(image)
            let client = try engine.client()
            let info = try await client.info()
            if try await EngineLoader(client).load(image, called: name) {
                ImageCommand.say("image \(name): \(info.engine) has \(image.digest.short) now")
            } else {
                ImageCommand.say("image \(name): \(info.engine) has \(image.digest.short) already")
            }
            withExtendedLifetime(lease) {}
        } catch let error as ImageError {
            throw ImageCommand.refusal("\(error)")
        } catch let error as DockerError {
            throw ImageCommand.refusal("\(error)")
        }
    }
}

extension ImageCommand {
    /// Says why a command failed; the exit code is sandboxd's own.
    static func refusal(_ why: String) -> ExitCode {
        say("sandboxd: \(why)")
        return ExitCode(125)
    }
}
