// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import Client
internal import FoundationEssentials
internal import JSON

/// `sandboxd tasks`: what is in the queue and what was.
struct TasksCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tasks",
        abstract: "Lists tasks, newest first."
    )

    /// What the daemon gives at once.
    private static let pageLimit = 1000
    private static let commandLength = 60

    @Option(
        help: ArgumentHelp(
            "Those of one state: ready, delayed, awaiting_approval, running, succeeded, failed, "
                + "cancelled, dead, rejected or expired.",
            valueName: "state"
        )
    )
    var state: String?

    @Option(help: ArgumentHelp("How many at most.", valueName: "n"))
    var limit = 50

    @Flag(help: "All of them, however many.")
    var all = false

    @Flag(help: "Print a JSON object to standard output.")
    var json = false

    @OptionGroup var daemon: DaemonOptions

    func validate() throws {
        guard limit > 0 else { throw ValidationError("--limit \(limit): give 1 or more") }
    }

    func run() throws {
        try daemon.run { daemon throws(ClientError) in
            var table = Table([
                "ID", "STATE", "PROFILE", "BUDGET", "VERDICT", "EXIT", "ATTEMPTS", "AGE", "COMMAND",
            ])
            var listed: [JSONValue] = []
            let next = try pages(daemon) { page in
                if json { listed += page } else { table.print(page.map(Self.row)) }
            }
            if json {
                let cursor = next.map { JSONValue.number(String($0)) } ?? .null
                Terminal.print(.object(["tasks": .array(listed), "next": cursor]))
            }
            return 0
        }
    }

    /// Reads page after page; answers the cursor to what was left out, if anything may have been.
    private func pages(
        _ daemon: DaemonAPI,
        _ body: ([JSONValue]) -> Void
    ) throws(ClientError) -> Int? {
        var left = all ? Int.max : limit
        var before: Int?
        while true {
            var path = "/v1/tasks?limit=\(min(left, Self.pageLimit))"
            if let state { path += "&state=" + DaemonAPI.escaped(state) }
            if let before { path += "&before=\(before)" }
            let page = try daemon.value("GET", path)
            let tasks = page["tasks"]?.elements ?? []
            // An empty page says it, when it is the first.
            if before == nil || !tasks.isEmpty { body(tasks) }
            left -= tasks.count
            before = page["next"]?.int
            if before == nil || left <= 0 { return before }
        }
    }

    private static func row(_ task: JSONValue) -> [String] {
        let exit = task["exit_code"]?.int
        return [
            "\(task["task_id"]?.int ?? 0)", task["state"]?.text ?? "?",
            task["profile"]?.text ?? "?",
            task["budget"]?.text ?? "?", task["verdict"]?.text ?? "-",
            exit.map { "\($0)" } ?? "-", "\(task["attempts_counted"]?.int ?? 0)",
            (Moment(task["created_at"])?.secondsAgo).map(Span.short) ?? "-",
            CommandText.short(task["argv"], length: commandLength),
        ]
    }
}
