// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser

/// The command line.
@main
struct Sandboxd: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sandboxd",
        abstract: "Runs dangerous work in sandboxes that last for one run.",
        subcommands: [
            RunCommand.self, Serve.self, PolicyCommand.self, ImageCommand.self,
            SetupCommand.self, DoctorCommand.self,
        ]
    )
}
