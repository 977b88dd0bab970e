// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import Client
internal import FoundationEssentials
internal import JSON

/// When and how often a task runs, and who pays.
struct QueueingOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The budget that pays. Default: default.", valueName: "name"))
    var budget: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("From -100 to 100; more is earlier. Default: 0.", valueName: "n")
    )
    var priority: Int?

    @Option(
        help: ArgumentHelp("Not before this time, like 2030-01-31T12:00:00Z.", valueName: "time")
    )
    var runAt: String?

    @Option(help: ArgumentHelp("Not before so many seconds from now.", valueName: "s"))
    var delay: Double?

    @Option(help: ArgumentHelp("Attempts at most, from 1 to 100. Default: 3.", valueName: "n"))
    var maxAttempts: Int?

    @Option(
        help: ArgumentHelp(
            "Try again after this verdict; can be repeated. Default: engine_error, lease_lost.",
            valueName: "verdict"
        )
    )
    var retryOn: [String] = []

    @Option(help: ArgumentHelp("Not after this time.", valueName: "time"))
    var deadline: String?

    func validate() throws {
        guard runAt == nil || delay == nil else {
            throw ValidationError("give one of --run-at and --delay")
        }
        // A year, as the queue's limit is.
        if let delay, !(0...31_622_400).contains(delay) {
            throw ValidationError("--delay \(delay): give seconds, at most a year")
        }
    }

    /// The members of a task's body that say it.
    func members() throws(ClientError) -> [String: JSONValue] {
        var members: [String: JSONValue] = [:]
        members["budget"] = budget.map(JSONValue.string)
        members["priority"] = priority.map { .number(String($0)) }
        members["run_at"] = runAt.map(JSONValue.string)
        if let delay {
            let time = Date(timeIntervalSinceNow: delay)
            members["run_at"] = .string(time.formatted(.iso8601WithFraction))
        }
        members["max_attempts"] = maxAttempts.map { .number(String($0)) }
        if !retryOn.isEmpty { members["retry_on"] = .array(retryOn.map(JSONValue.string)) }
        members["deadline_at"] = deadline.map(JSONValue.string)
        return members
    }
}

extension FormatStyle where Self == Date.ISO8601FormatStyle {
    fileprivate static var iso8601WithFraction: Self { Self(includingFractionalSeconds: true) }
}
