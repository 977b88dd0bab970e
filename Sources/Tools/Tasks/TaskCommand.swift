// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import Client

/// `sandboxd task`: all about one.
struct TaskCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "task",
        abstract: "Shows one task and its attempts."
    )

    @Argument(help: ArgumentHelp("The task's number.", valueName: "id"))
    var id: Int

    @Flag(help: "Print a JSON object to standard output.")
    var json = false

    @OptionGroup var daemon: DaemonOptions

    func run() throws {
        try daemon.run { daemon throws(ClientError) in
            let task = try TaskRecord(daemon, id)
            if json {
                Terminal.print(task.json)
            } else {
                Terminal.print(TaskProse(task).text)
            }
            return 0
        }
    }
}
