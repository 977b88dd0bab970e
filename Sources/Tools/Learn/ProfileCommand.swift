// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser

/// `sandboxd profile`: makes profiles.
struct ProfileCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "profile",
        abstract: "Makes profiles from what runs need.",
        subcommands: [LearnCommand.self]
    )
}
