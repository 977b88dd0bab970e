// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import Client
internal import JSON

/// `sandboxd approvals`: what waits for a person's word.
struct ApprovalsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "approvals",
        abstract: "Lists tasks that wait for an approval."
    )

    @Flag(help: "Print a JSON object to standard output.")
    var json = false

    @OptionGroup var daemon: DaemonOptions

    func run() throws {
        try daemon.run { daemon throws(ClientError) in
            let answer = try daemon.value("GET", "/v1/approvals")
            if json {
                Terminal.print(answer)
                return 0
            }
            for waiting in answer["approvals"]?.elements ?? [] {
                ApprovalProse.lines(waiting).forEach(Terminal.print)
            }
            return 0
        }
    }
}

/// What is to be approved, for a person.
enum ApprovalProse {
    static func lines(_ waiting: JSONValue) -> [String] {
        let id = waiting["task_id"]?.int ?? 0
        let expires = Moment(waiting["expires_at"])?.text ?? "?"
        return [
            "task \(id): \(waiting["needed_for"]?.text ?? "?"), until \(expires)",
            "  profile \(waiting["profile"]?.text ?? "?"), paid by \(waiting["budget"]?.text ?? "?")",
            // Whatever it holds, it is one line: JSON has no raw line ends, nor other controls.
            "  "
                + Terminal.printable(
                    String(decoding: (waiting["spec"] ?? .null).bytes, as: UTF8.self)
                ),
            "  digest \(waiting["digest"]?.text ?? "?")",
        ]
    }
}
