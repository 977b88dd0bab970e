// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser

/// The command line. Only `run` is done here; for the others this program becomes another.
@main
struct Sandboxd: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sandboxd",
        abstract: "Runs dangerous work in sandboxes that last for one run.",
        subcommands: [
            RunCommand.self, ServeCommand.self, PolicyCommand.self, ImageCommand.self,
            SetupCommand.self, DoctorCommand.self,
        ]
    )
}
