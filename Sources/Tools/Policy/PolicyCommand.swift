// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser

/// `sandboxd policy`: what jobs may do.
struct PolicyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "policy",
        abstract: "Checks profiles, and shows what they come to.",
        subcommands: [PolicyCheck.self, PolicyShow.self]
    )
}
