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
            standard error to standard error. Without -f it is what was kept of the last attempt that \
            has ended; with it, output is seen as it comes while the task runs on this daemon's node.
            """
    )

    @Argument(help: ArgumentHelp("The task's number.", valueName: "id"))
    var id: Int

    @Flag(
        name: .shortAndLong,
        help: "Print what it writes as it comes, until the task has ended."
    )
    var follow = false

    @OptionGroup var daemon: DaemonOptions

    func run() throws {
        try daemon.run { daemon throws(ClientError) in
            var printer = LivePrinter(isLive: true)
            if follow { try TaskRecord.follow(id, daemon, printer: &printer) }
            let task = try TaskRecord(daemon, id)
            guard let output = task.output else { throw .refused(task.silence) }
            printer.printRest(of: output, attempt: task.lastAttemptID)
            return 0
        }
    }
}
