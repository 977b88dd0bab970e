// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import Client
internal import Glibc
internal import JSON

/// `sandboxd approve`: a person's word for exactly what was shown.
struct ApproveCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "approve",
        abstract: "Lets a task run that waits for an approval.",
        discussion: """
            On a terminal it shows the task and asks. Elsewhere --digest says what was looked at: an \
            approval is for exactly that.
            """
    )

    @OptionGroup var decision: DecisionOptions

    func run() throws { try decision.run(isApproved: true, why: nil) }
}

/// `sandboxd deny`.
struct DenyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "deny",
        abstract: "Ends a task that waits for an approval."
    )

    @Option(help: ArgumentHelp("What is kept as the reason.", valueName: "text"))
    var why: String

    @OptionGroup var decision: DecisionOptions

    func run() throws { try decision.run(isApproved: false, why: why) }
}

/// What both take.
struct DecisionOptions: ParsableArguments {
    @Argument(help: "The task.")
    var id: Int

    @Option(
        help: ArgumentHelp(
            "The digest of what was shown; see 'sandboxd approvals'.",
            valueName: "hex"
        )
    )
    var digest: String?

    @Option(help: ArgumentHelp("Who decides; this user when nobody says.", valueName: "name"))
    var by: String?

    @OptionGroup var daemon: DaemonOptions

    func run(isApproved: Bool, why: String?) throws {
        try daemon.run { daemon throws(ClientError) in
            let digest: String
            if let given = self.digest {
                digest = given
            } else {
                digest = try shown(daemon, isApproved: isApproved)
            }
            var members: [String: JSONValue] = [
                "digest": .string(digest), "by": .string(by ?? Self.user),
            ]
            if let why { members["why"] = .string(why) }
            let answer = try daemon.value(
                "POST",
                "/v1/tasks/\(id)/" + (isApproved ? "approve" : "deny"),
                body: .object(members)
            )
            Terminal.print("task \(id): \(answer["state"]?.text ?? "?")")
            return 0
        }
    }

    /// Shows the task on the terminal and asks; answers the digest of what was shown.
    private func shown(_ daemon: DaemonAPI, isApproved: Bool) throws(ClientError) -> String {
        let waiting = try daemon.value("GET", "/v1/approvals")["approvals"]?.elements ?? []
        guard let task = waiting.first(where: { $0["task_id"]?.int == id }),
            let digest = task["digest"]?.text
        else { throw .refused("task \(id) does not wait for an approval") }
        guard isatty(0) == 1 else {
            throw .usage("say what you have looked at, with --digest (it is \(digest) now)")
        }
        ApprovalProse.lines(task).forEach(Terminal.print)
        Terminal.write(1, Array((isApproved ? "approve" : "deny").utf8 + Array("? [y/N] ".utf8)))
        guard readLine() == "y" else { throw .refused("nothing was decided") }
        return digest
    }

    private static var user: String {
        if let name = getenv("SUDO_USER") { return String(cString: name) }
        guard let entry = getpwuid(getuid()) else { return String(getuid()) }
        return String(cString: entry.pointee.pw_name)
    }
}
