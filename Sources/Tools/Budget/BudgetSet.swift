// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import Client
internal import JSON

/// `sandboxd budget set`: makes a budget, or changes what the options name.
struct BudgetSet: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "set",
        abstract: "Makes a budget, or changes what the options name.",
        discussion: """
            A cap of 'none' does not hold; what is used is counted all the same. Numbers may have a \
            point. A cap below what is used or reserved already is refused.
            """
    )

    /// How long what was used counts.
    enum Period: String, ExpressibleByArgument { case day, month, total }
    /// What becomes of tasks that the budget cannot pay for now.
    enum OnExhausted: String, ExpressibleByArgument { case hold, reject }

    @Argument(help: ArgumentHelp("The budget's name.", valueName: "name"))
    var name: String

    @Option(help: "When what was used is forgotten: each day, each month or never (UTC).")
    var period: Period?

    @OptionGroup var caps: BudgetCaps

    @OptionGroup var prices: BudgetPrices

    @OptionGroup var approval: BudgetApproval

    @Option(help: "Whether tasks that it cannot pay for wait or are refused.")
    var onExhausted: OnExhausted?

    @Flag(help: "Begin no task of it.")
    var pause = false

    @Flag(help: "Begin its tasks again.")
    var resume = false

    @Flag(help: "Print a JSON object to standard output.")
    var json = false

    @OptionGroup var daemon: DaemonOptions

    func validate() throws {
        guard !pause || !resume else { throw ValidationError("give one of --pause and --resume") }
    }

    func run() throws {
        try daemon.run { daemon throws(ClientError) in
            var settings = try caps.settings().merging(prices.settings()) { $1 }
                .merging(approval.settings()) { $1 }
            settings["period"] = period.map { .string($0.rawValue) }
            settings["on_exhausted"] = onExhausted.map { .string($0.rawValue) }
            if pause || resume { settings["paused"] = .bool(pause) }
            let budget = try daemon.value(
                "PUT",
                BudgetCommand.path(name),
                body: .object(settings)
            )
            BudgetCommand.print(budget, json: json)
            return 0
        }
    }
}
