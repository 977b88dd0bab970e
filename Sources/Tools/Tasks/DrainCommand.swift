// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import Client
internal import JSON

/// `sandboxd drain`: before a node is stopped.
struct DrainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drain",
        abstract: "Lets this node take no new tasks.",
        discussion: "What runs goes on. Another daemon on this node begins undrained."
    )

    @Flag(help: "Take tasks again.")
    var off = false

    @Flag(help: "Print a JSON object to standard output.")
    var json = false

    @OptionGroup var daemon: DaemonOptions

    func run() throws {
        try daemon.run { daemon throws(ClientError) in
            let answer = try daemon.value(
                "POST",
                "/v1/drain",
                body: .object(["draining": .bool(!off)])
            )
            if json {
                Terminal.print(answer)
            } else {
                Terminal.print(off ? "this node takes tasks" : "this node takes no new tasks")
            }
            return 0
        }
    }
}
