// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import Client
internal import JSON

/// The prices of a budget.
struct BudgetPrices: ParsableArguments {
    @Option(
        name: .customLong("price-cpu-s"),
        help: ArgumentHelp("Of a CPU second.", valueName: "x")
    )
    var cpuSecond: String?

    @Option(
        name: .customLong("price-memory-gib-s"),
        help: ArgumentHelp("Of a GiB of memory for a second.", valueName: "x")
    )
    var memoryGiBSecond: String?

    @Option(name: .customLong("price-run"), help: ArgumentHelp("Of a run.", valueName: "x"))
    var run: String?

    @Option(
        name: .customLong("price-egress-gib"),
        help: ArgumentHelp("Of a GiB sent out.", valueName: "x")
    )
    var egressGiB: String?

    /// The API's settings.
    func settings() throws(ClientError) -> [String: JSONValue] {
        let given: [(name: String, text: String?)] = [
            ("cpu-s", cpuSecond), ("memory-gib-s", memoryGiBSecond), ("run", run),
            ("egress-gib", egressGiB),
        ]
        var settings: [String: JSONValue] = [:]
        for (name, text) in given {
            guard let text else { continue }
            guard let nanos = FixedPoint.parse(text, per: BudgetUnit.money.scale) else {
                throw .usage(
                    "--price-\(name) '\(text)': give a number from 0 on, with at most 9 digits "
                        + "after the point"
                )
            }
            let key = "price_" + name.map { $0 == "-" ? "_" : $0 }
            settings[key] = .number(String(nanos))
        }
        return settings
    }
}
