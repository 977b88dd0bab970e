// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser

/// `sandboxd budget`: who may use how much.
struct BudgetCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "budget",
        abstract: "Shows budgets and sets them.",
        subcommands: [BudgetList.self, BudgetShow.self, BudgetSet.self]
    )
}
