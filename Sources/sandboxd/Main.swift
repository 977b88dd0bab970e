// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser

/// The command line. Only `run` is done here; for the others this program becomes another.
@main
struct Sandboxd: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sandboxd",
        abstract: "Runs dangerous work in sandboxes that last for one run.",
        subcommands: [RunCommand.self, ServeCommand.self],
        groupedSubcommands: [
            CommandGroup(
                name: "Tasks",
                subcommands: [
                    Handed<Tools.Submit>.self, Handed<Tools.Tasks>.self, Handed<Tools.Task>.self,
                    Handed<Tools.Cancel>.self, Handed<Tools.Retry>.self, Handed<Tools.Logs>.self,
                    Handed<Tools.Artifacts>.self, Handed<Tools.Budget>.self,
                    Handed<Tools.Approvals>.self, Handed<Tools.Approve>.self,
                    Handed<Tools.Deny>.self, Handed<Tools.Canary>.self, Handed<Tools.Explain>.self,
                    Handed<Tools.Drain>.self,
                    DatabaseCommand.self,
                ]
            ),
            CommandGroup(
                name: "This machine",
                subcommands: [
                    Handed<Tools.Policy>.self, Handed<Tools.Profile>.self, Handed<Tools.Image>.self,
                    Handed<Tools.Setup>.self,
                    Handed<Tools.Doctor>.self,
                ]
            ),
        ]
    )
}
