// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import Client
internal import JSON

/// `sandboxd cancel`: ends tasks, or keeps them from beginning.
struct CancelCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cancel",
        abstract: "Cancels tasks.",
        discussion: """
            It says the state of each: 'cancelling' is one that ends soon; a task that has ended \
            stays as it is.
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
                try daemon.value("DELETE", "/v1/tasks/\(id)")
            }
            return TaskRequests.print(answers, json: json, failed: answers.count < ids.count)
        }
    }
}
