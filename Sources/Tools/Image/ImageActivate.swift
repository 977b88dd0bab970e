// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import Client
internal import DockerAPI
internal import Glibc
internal import Images

/// `sandboxd image activate`: moves a name to another image, which must stand a trial first.
struct ImageActivate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "activate",
        abstract: "Tries another image under a name, and then moves the name to it.",
        discussion: """
            The daemon runs the health command of every profile that names the image, in the new \
            one. When all end well the name moves, in one step, and what it stood for is kept for \
            'image rollback'; otherwise nothing changes. A container engine that is named gets the \
            new image before that. Runs that have begun keep the image that they began in.
            """
    )

    @OptionGroup var options: ImageStoreOptions
    @OptionGroup var engine: EngineOptions
    @OptionGroup var daemon: DaemonOptions

    @Argument(help: ArgumentHelp("The name that moves.", valueName: "name"))
    var name: String

    @Argument(
        help: ArgumentHelp(
            "The image: another name, or sha256: and the first 8 digits of its digest or more.",
            discussion: "Default: what was imported or pulled last under this name.",
            valueName: "image"
        )
    )
    var image: String?

    func run() async throws {
        // The daemon's end of the connection may close first; the read says so.
        signal(SIGPIPE, SIG_IGN)
        try await ImageCommand.run { () async throws in
            let client = try engine.clientIfNamed()
            let store = try options.store()
            let before = try store.images(named: name)
            guard let wanted = try image.map(store.find) ?? before.candidate else {
                throw ClientError.usage("image \(name) has no candidate: say which image")
            }
            let lease = try store.hold(wanted)
            guard wanted.digest != before.current?.digest else {
                ImageCommand.say("image \(name): \(wanted.digest.short) is active already")
                return
            }
            let current = try store.nominate(wanted, for: name)
            do {
                if let client { try await EngineLoader(client, store).bring(wanted, called: name) }
                try Trial(daemon: DaemonAPI(socket: daemon.socket), name: name).run(wanted)
                try store.activate(wanted, as: name, insteadOf: current)
            } catch {
                restore(before.candidate, wanted, store)
                throw error
            }
            ImageCommand.say(
                "image \(name): moved from \(current.digest.short) to \(wanted.digest.short); "
                    + "`sandboxd image rollback \(name)` moves it back"
            )
            withExtendedLifetime(lease) {}
        }
    }

    /// Makes the candidate again what it was before.
    private func restore(_ before: Image?, _ wanted: Image, _ store: ImageStore) {
        do throws(ImageError) {
            try store.dismiss(wanted, from: name)
            if let before { _ = try store.nominate(before, for: name) }
        } catch {
            // A candidate too many or too few changes no run.
            ImageCommand.say("image \(name): cannot restore its candidate, ignoring: \(error)")
        }
    }
}
