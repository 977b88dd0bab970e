// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import Client
internal import JSON

/// `sandboxd budget ls`: what each has used and may use.
struct BudgetList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls",
        abstract: "Lists the budgets.",
        discussion: "Each unit is what was used, of its cap; what runs has reserved more."
    )

    @Flag(help: "Print a JSON object to standard output.")
    var json = false

    @OptionGroup var daemon: DaemonOptions

    func run() throws {
        try daemon.run { daemon throws(ClientError) in
            let answer = try daemon.value("GET", "/v1/budgets")
            if json {
                Terminal.print(answer)
                return 0
            }
            var table = Table(
                ["BUDGET", "PERIOD", "PAUSED"] + BudgetUnit.allCases.map { $0.name.uppercased() }
            )
            table.print((answer["budgets"]?.elements ?? []).map(Self.row))
            return 0
        }
    }

    private static func row(_ budget: JSONValue) -> [String] {
        let units = BudgetUnit.allCases.map { unit in
            let counts = budget["units"]?[unit.rawValue]
            let used = unit.text(counts?["used"]?.int ?? 0)
            return counts?["cap"]?.int.map { "\(used) of \(unit.text($0))" } ?? used
        }
        return [
            budget["budget"]?.text ?? "?", budget["period"]?.text ?? "?",
            budget["paused"] == .bool(true) ? "yes" : "no",
        ] + units
    }
}
