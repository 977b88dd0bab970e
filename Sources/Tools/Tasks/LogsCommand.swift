// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import Client

/// `sandboxd logs`: what a task wrote.
struct LogsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logs",
        abstract: "Prints the output of a task's last attempt.",
        discussion: """
            What the task wrote to standard output goes to standard output, and what it wrote to \
            standard error to standard error. An attempt's output is kept when the attempt ends.
            """
    )

    @Argument(help: ArgumentHelp("The task's number.", valueName: "id"))
    var id: Int

    @Flag(name: .shortAndLong, help: "Wait until the task has ended.")
    var follow = false

    @OptionGroup var daemon: DaemonOptions

    func run() throws {
        try daemon.run { daemon throws(ClientError) in
            if follow { try TaskRecord.follow(id, daemon) }
            let task = try TaskRecord(daemon, id)
            guard let output = task.output else { throw .refused(task.silence) }
            output.print()
            return 0
        }
    }
}
