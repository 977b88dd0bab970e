// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import Client
internal import DockerAPI
internal import Images

/// `sandboxd image gc`: removes what nobody needs.
struct ImageCollect: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gc",
        abstract: "Removes images that no name has, had before or may have next.",
        discussion: """
            What somebody uses stays: a daemon holds every image that it has used since its start. \
            In a container engine that is named, the copies go that were loaded from this store and \
            whose image is not in it any more, unless containers use them.
            """
    )

    @OptionGroup var options: ImageStoreOptions
    @OptionGroup var engine: EngineOptions

    @Flag(help: "Say what would go, and let it stay.")
    var dryRun = false

    func run() async throws {
        try await ImageCommand.run { () async throws in
            let client = try engine.clientIfNamed()
            let store = try options.store()
            let swept = try store.sweep(isTrial: dryRun)
            for image in swept {
                let size = ByteSize.text(Int(clamping: image.bytes))
                say(image.isInUse, "\(image.digest), \(size)")
            }
            guard let client else { return }
            let going = Set(swept.filter { !$0.isInUse }.map(\.digest))
            let staying = Set(try store.digests()).subtracting(going)
            let copies = EngineCopies(client, store)
            for copy in try await copies.orphans(staying: staying) {
                let isInUse = dryRun ? false : try await !copies.remove(copy)
                say(isInUse, "the engine's copy of \(copy.digest)")
            }
        }
    }

    private func say(_ isInUse: Bool, _ what: String) {
        let word = isInUse ? "in use, kept" : dryRun ? "would remove" : "removed"
        ImageCommand.say("\(word): \(what)")
    }
}
