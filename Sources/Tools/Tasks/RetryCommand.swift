// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import Client
internal import JSON

/// `sandboxd retry`: another round of attempts.
struct RetryCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "retry",
        abstract: "Brings back tasks that ended badly.",
        discussion: """
            Each gets as many attempts as it had at first. The exit status is 125 when one of them \
            did not come back, because it had not ended, or had succeeded.
            """
    )

    @Argument(help: ArgumentHelp("The tasks' numbers.", valueName: "id"))
    var ids: [Int]

    @Flag(help: "Print a JSON list to standard output.")
    var json = false

    @OptionGroup var daemon: DaemonOptions

    func run() throws {
        try daemon.run { daemon throws(ClientError) in
            let answers = try TaskRequests.send(ids) { id throws(ClientError) in
                try daemon.value("POST", "/v1/tasks/\(id)/retry")
            }
            for task in answers where task["state"]?.text == "awaiting_approval" {
                let id = task["task_id"]?.int ?? 0
                Terminal.say("sandboxd: task \(id) waits for an approval: see 'sandboxd approvals'")
            }
            let others = answers.filter {
                !["ready", "awaiting_approval"].contains($0["state"]?.text)
            }
            for task in others {
                let id = task["task_id"]?.int ?? 0
                Terminal.say(
                    "sandboxd: task \(id) is not one that ended badly: it stays as it is"
                )
            }
            let failed = answers.count < ids.count || !others.isEmpty
            return TaskRequests.print(answers, json: json, failed: failed)
        }
    }
}
