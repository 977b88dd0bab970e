// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import Client
internal import JSON

/// `sandboxd budget show`: one, with its prices.
struct BudgetShow: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Shows one budget."
    )

    @Argument(help: ArgumentHelp("The budget's name.", valueName: "name"))
    var name: String

    @Flag(help: "Print a JSON object to standard output.")
    var json = false

    @OptionGroup var daemon: DaemonOptions

    func run() throws {
        try daemon.run { daemon throws(ClientError) in
            let budget = try daemon.value("GET", BudgetCommand.path(name))
            BudgetCommand.print(budget, json: json)
            return 0
        }
    }
}

extension BudgetCommand {
    static func path(_ name: String) -> String { "/v1/budgets/" + DaemonAPI.escaped(name) }

    /// Prints one budget, for a person or a program.
    static func print(_ budget: JSONValue, json: Bool) {
        guard !json else { return Terminal.print(budget) }
        let began = Moment(budget["period_began"]).map { ", began \($0.text)" } ?? ""
        Terminal.print("budget \(budget["budget"]?.text ?? "?")")
        Terminal.print("  period        \(budget["period"]?.text ?? "?")\(began)")
        Terminal.print("  on exhausted  \(budget["on_exhausted"]?.text ?? "?")")
        Terminal.print("  paused        \(budget["paused"] == .bool(true) ? "yes" : "no")")
        Terminal.print("  prices        \(prices(budget["prices"]))\n")
        var table = Table(["UNIT", "USED", "RESERVED", "CAP"])
        table.print(
            BudgetUnit.allCases.map { unit in
                let counts = budget["units"]?[unit.rawValue]
                return [
                    unit.name, unit.text(counts?["used"]?.int ?? 0),
                    unit.text(counts?["reserved"]?.int ?? 0),
                    counts?["cap"]?.int.map(unit.text) ?? "none",
                ]
            }
        )
    }

    private static func prices(_ prices: JSONValue?) -> String {
        let known = [
            ("cpu_s", "a CPU second"), ("memory_gib_s", "a GiB·s of memory"), ("run", "a run"),
            ("egress_gib", "a GiB of egress"),
        ]
        let parts = known.compactMap { key, words -> String? in
            guard let price = prices?[key]?.int, price > 0 else { return nil }
            return BudgetUnit.money.text(price) + " " + words
        }
        return parts.isEmpty ? "none" : parts.joined(separator: ", ")
    }
}
