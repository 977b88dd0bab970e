// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import FoundationEssentials
internal import Images
internal import SystemPackage

/// `sandboxd image`: what sandboxes have for a root file system.
struct ImageCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "image",
        abstract: "Builds, imports, activates and removes the images that sandboxes run in.",
        subcommands: [
            ImageBuild.self, ImageImport.self, ImagePull.self, ImageList.self, ImageActivate.self,
            ImageRollback.self, ImageLoad.self, ImageRemove.self, ImageCollect.self,
        ]
    )
}

/// Which store a command works on.
struct ImageStoreOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The directory with the images.",
            discussion: """
                Default: /var/lib/sandboxd/images when it is there and readable, or for root; \
                else sandboxd/images in $XDG_DATA_HOME.
                """,
            valueName: "dir"
        )
    )
    var images: String?

    /// Opens the store.
    func store() throws(ImageError) -> ImageStore {
        let environment = ProcessInfo.processInfo.environment
        return try .open(
            images.map { FilePath($0) } ?? ImageStore.defaultPath(environment: environment)
        )
    }
}

extension ImageCommand {
    /// Runs the body of an image command; its refusal goes to standard error.
    ///
    /// - Throws: exit code 125, which is sandboxd's own failure.
    static func run(_ body: () throws(ImageError) -> Void) throws(ExitCode) {
        do {
            try body()
        } catch {
            throw refusal("\(error)")
        }
    }

    /// The same for one that waits, on an engine above all. What it throws says itself what it is.
    static func run(_ body: () async throws -> Void) async throws(ExitCode) {
        do {
            try await body()
        } catch {
            throw refusal("\(error)")
        }
    }

    /// Says why a command failed; the exit code is sandboxd's own.
    static func refusal(_ why: String) -> ExitCode {
        say("sandboxd: \(why)")
        return ExitCode(125)
    }

    /// Writes a line for people to standard error.
    static func say(_ line: String) {
        // Without a standard error there is nobody to tell.
        _ = try? FileDescriptor.standardError.writeAll((line + "\n").utf8)
    }
}
