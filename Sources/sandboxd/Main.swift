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

    /// To learn what all the commands are takes a part of a millisecond, and `run` starts for every
    /// job: it is read by itself. What it does not take, a wrong option or --help, all of them answer.
    static func main() {
        let arguments = Array(CommandLine.arguments.dropFirst())
        guard arguments.first == "run",
            var command = try? RunCommand.parseAsRoot(Array(arguments.dropFirst()))
        else { return main(arguments) }
        do { try command.run() } catch { RunCommand.exit(withError: error) }
    }
}
