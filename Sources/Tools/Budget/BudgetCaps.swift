// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import Client
internal import JSON

/// The caps of a budget.
struct BudgetCaps: ParsableArguments {
    @Option(help: ArgumentHelp("CPU seconds.", valueName: "n|none"))
    var cpuSeconds: String?

    @Option(
        name: .customLong("memory-gib-s"),
        help: ArgumentHelp("Memory: GiB times seconds.", valueName: "n|none")
    )
    var memoryGiBSeconds: String?

    @Option(help: ArgumentHelp("Wall time of all runs together.", valueName: "n|none"))
    var wallSeconds: String?

    @Option(help: ArgumentHelp("How many runs.", valueName: "n|none"))
    var runs: String?

    @Option(help: ArgumentHelp("Bytes sent out, like 10G.", valueName: "size|none"))
    var egress: String?

    @Option(help: ArgumentHelp("Money, by the budget's prices.", valueName: "x|none"))
    var money: String?

    /// The API's settings.
    func settings() throws(ClientError) -> [String: JSONValue] {
        let given: [(BudgetUnit, option: String, text: String?)] = [
            (.cpu, "--cpu-seconds", cpuSeconds), (.memory, "--memory-gib-s", memoryGiBSeconds),
            (.wall, "--wall-seconds", wallSeconds), (.runs, "--runs", runs),
            (.egress, "--egress", egress), (.money, "--money", money),
        ]
        var settings: [String: JSONValue] = [:]
        for (unit, option, text) in given {
            guard let text else { continue }
            settings[unit.rawValue + "_cap"] = try Self.cap(unit, option, text)
        }
        return settings
    }

    private static func cap(
        _ unit: BudgetUnit,
        _ option: String,
        _ text: String
    ) throws(ClientError) -> JSONValue {
        if text == "none" { return .null }
        let count: Int?
        switch unit {
        case .egress: count = ByteSize.parse(text)
        case .runs: count = text.contains(".") ? nil : FixedPoint.parse(text, per: 1)
        default: count = FixedPoint.parse(text, per: unit.scale)
        }
        guard let count else {
            let wanted =
                switch unit {
                case .egress: "a size like 10G"
                case .runs: "a whole number"
                default: "a number from 0 on, with at most 9 digits after the point"
                }
            throw .usage("\(option) '\(text)': give \(wanted), or none")
        }
        return .number(String(count))
    }
}
