// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser

/// `sandboxd canary`: how work moves from the host to sandboxes, and back.
struct CanaryCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "canary",
        abstract: "Moves work between the host and sandboxes, by a percentage.",
        subcommands: [CanarySet.self, CanaryShow.self, CanaryReport.self, CanaryBucket.self]
    )
}
