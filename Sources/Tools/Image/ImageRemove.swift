// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import Images

/// `sandboxd image rm`: removes images.
struct ImageRemove: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rm",
        abstract: "Removes an image that nobody uses."
    )

    @OptionGroup var options: ImageStoreOptions

    @Argument(
        help: ArgumentHelp(
            "The image's name, or sha256: and the first 8 digits of its digest or more.",
            valueName: "name"
        )
    )
    var name: String

    func run() throws {
        try ImageCommand.run { () throws(ImageError) in
            try options.store().remove(name)
            ImageCommand.say("image \(name): removed")
        }
    }
}
