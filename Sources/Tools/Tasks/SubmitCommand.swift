// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import Client
internal import Glibc
internal import JSON

/// `sandboxd submit`: one task, or a batch of them.
struct SubmitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "submit",
        abstract: "Puts tasks into the queue.",
        usage: """
            sandboxd submit [options] -- command [argument ...]
            sandboxd submit [options] --batch file
            """,
        discussion: """
            It prints the task's number. With --wait it prints the task's output when the task has \
            ended, and its exit status is the one of 'sandboxd run'; to end the command does not \
            end the task.

            A batch is a JSON list of tasks, or a task a line, as POST /v1/tasks takes them; the \
            options hold for tasks that do not say otherwise. Requests of 1000 tasks are made; each \
            is taken as a whole or not at all.
            """
    )

    @OptionGroup var input: TaskInputOptions

    @OptionGroup var queueing: QueueingOptions

    @Option(
        help: ArgumentHelp(
            "Your name for this task: submitted again, it is still one task.",
            valueName: "key"
        )
    )
    var key: String?

    @Option(
        help: ArgumentHelp("Submit the tasks of a file; - is standard input.", valueName: "file")
    )
    var batch: String?

    @Flag(help: "Wait for the task's end, print its output, and exit as it did.")
    var wait = false

    @Flag(help: "Print one JSON object: the answer; with --wait, the task.")
    var json = false

    @OptionGroup var daemon: DaemonOptions

    @Argument(parsing: .postTerminator, help: "The command and its arguments.")
    var command: [String] = []

    func validate() throws {
        guard batch != nil else {
            guard !command.isEmpty else {
                throw ValidationError("say what to run: sandboxd submit [options] -- command")
            }
            return
        }
        guard command.isEmpty, key == nil, !wait, !input.stdin else {
            throw ValidationError("--batch goes with no command, --key, --stdin or --wait")
        }
    }

    func run() throws {
        try daemon.run { daemon throws(ClientError) in
            var members = try queueing.members()
            members.merge(try input.members(command)) { $1 }
            if let key { members["key"] = .string(key) }
            if let batch {
                let tasks = try TaskBatch(file: batch, defaults: members)
                try tasks.submit(to: daemon, json: json)
                return 0
            }
            let answer = try daemon.value("POST", "/v1/tasks", body: .object(members))
            guard let id = answer["task_id"]?.int else { throw .notHTTP }
            if wait { return try end(of: id, daemon) }
            if json {
                Terminal.print(answer)
            } else {
                Terminal.print("\(id)")
                if answer["created"] == .bool(false) {
                    Terminal.say("sandboxd: task \(id) has this key already")
                }
            }
            return 0
        }
    }

    /// Waits for the task's end and prints it as `sandboxd run` would have.
    private func end(of id: Int, _ daemon: DaemonAPI) throws(ClientError) -> Int32 {
        // Who ends this command wants to find the task again.
        if !json { Terminal.say("sandboxd: task \(id)") }
        let task: TaskRecord
        var printer = LivePrinter(isLive: !json)
        do throws(ClientError) {
            try TaskRecord.follow(id, daemon, printer: &printer)
            task = try TaskRecord(daemon, id)
        } catch .notRunning {
            throw .unfollowed(task: id)
        }
        let outcome = Outcome(task.report ?? .null)
        if json {
            Terminal.print(task.json)
        } else if let output = task.output {
            printer.printRest(of: output, attempt: task.lastAttemptID)
            if outcome.isWorthSaying || isatty(2) == 1 { Terminal.say(outcome.summary) }
        } else {
            Terminal.say("sandboxd: " + task.silence)
        }
        return outcome.exitStatus
    }
}
