// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser

/// The commands that need libraries which `sandboxd run` does not: `sandboxd` executes this program
/// for them.
@main
struct ToolsMain: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sandboxd",
        abstract: "Looks after tasks, budgets, profiles, images and this machine.",
        subcommands: [
            SubmitCommand.self, TasksCommand.self, TaskCommand.self, CancelCommand.self,
            RetryCommand.self, LogsCommand.self, ArtifactsCommand.self, BudgetCommand.self,
            CanaryCommand.self, ExplainCommand.self, ApprovalsCommand.self,
            ApproveCommand.self, DenyCommand.self, DrainCommand.self, PolicyCommand.self,
            ProfileCommand.self,
            ImageCommand.self, SetupCommand.self,
            DoctorCommand.self,
        ]
    )
}
