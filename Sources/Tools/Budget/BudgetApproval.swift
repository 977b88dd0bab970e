// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import Client
internal import JSON

/// When a budget's tasks need a person's word.
struct BudgetApproval: ParsableArguments {
    /// As the API has it.
    enum Rule: String, ExpressibleByArgument { case never, required, egress }

    @Option(
        help: ArgumentHelp(
            "When its tasks need an approval: never, always (required), or when they ask to reach "
                + "more than their profile gives (egress)."
        )
    )
    var approval: Rule?

    @Option(
        help: ArgumentHelp(
            "They need one when an attempt may cost more than this, by the budget's prices.",
            valueName: "x|none"
        )
    )
    var approvalAbove: String?

    /// The API's settings.
    func settings() throws(ClientError) -> [String: JSONValue] {
        var settings: [String: JSONValue] = [:]
        settings["approval"] = approval.map { .string($0.rawValue) }
        guard let text = approvalAbove else { return settings }
        if text == "none" {
            settings["approval_above_nanos"] = .null
            return settings
        }
        guard let nanos = FixedPoint.parse(text, per: BudgetUnit.money.scale) else {
            throw .usage(
                "--approval-above '\(text)': give a number from 0 on, with at most 9 digits after "
                    + "the point, or none"
            )
        }
        settings["approval_above_nanos"] = .number(String(nanos))
        return settings
    }
}
