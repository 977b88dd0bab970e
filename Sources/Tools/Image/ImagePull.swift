// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import DockerAPI
internal import FoundationEssentials
internal import Images

/// `sandboxd image pull`: makes an image of one in a registry.
struct ImagePull: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pull",
        abstract: "Has a container engine pull an image, and takes it into the store.",
        discussion: """
            The engine fetches it; what a tag means then is written down as a digest, and never \
            asked again. A free name stands for the image at once; a name that is taken keeps its \
            image until 'image activate'.

            Credentials are a file of mode 0600, or, without a slash, what systemd passes under \
            this name: as in Docker's config.json, or lines of 'HOST USER PASSWORD'. Only those of \
            exactly the image's registry are used, for this one request to the engine.
            """
    )

    @OptionGroup var options: ImageStoreOptions
    @OptionGroup var engine: EngineOptions

    @Option(help: ArgumentHelp("What the image is called.", valueName: "name"))
    var name: String

    @Option(
        help: ArgumentHelp(
            "A file with credentials, or the name of one of systemd's.",
            valueName: "file"
        )
    )
    var credentials: String?

    @Argument(help: ArgumentHelp("HOST/NAME:TAG or HOST/NAME@DIGEST.", valueName: "reference"))
    var reference: String

    func run() async throws {
        try await ImageCommand.run { () async throws in
            // All that can be known before anybody is asked for anything.
            try ImageStore.check(name: name)
            let wanted = try ImageReference(reference)
            let credential = try credential(for: wanted)
            let client = try engine.client()
            let store = try options.store()
            let puller = Puller(client: client, store: store, auth: try credential?.auth())
            do {
                let outcome = try await puller.pull(wanted, as: name)
                let lease = try store.hold(outcome.image)
                ImportReport(outcome, name: name).say()
                try await EngineLoader(client, store).bring(outcome.image, called: name)
                withExtendedLifetime(lease) {}
            } catch {
                // An engine or a registry may have quoted what it was sent.
                throw Refusal(description: credential?.redacting("\(error)") ?? "\(error)")
            }
        }
    }

    /// Why it failed, fit to be shown.
    private struct Refusal: Error, CustomStringConvertible {
        let description: String
    }

    private func credential(
        for wanted: ImageReference
    ) throws(CredentialError) -> RegistryCredential? {
        guard let credentials else { return nil }
        let environment = ProcessInfo.processInfo.environment
        let file = try CredentialFile(credentials, environment: environment)
        return try RegistryCredentials(file).credential(for: wanted.registry)
    }
}
