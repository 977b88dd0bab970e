// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import Client
internal import Glibc
internal import JSON
internal import Kernel
internal import Policy
internal import SystemPackage

/// `sandboxd explain`: what a run was denied, and which line would allow it.
struct ExplainCommand: ParsableCommand {
    private static let reportLimit = 64 << 20

    static let configuration = CommandConfiguration(
        commandName: "explain",
        abstract: "Says what an attempt was denied, and which line of the profile would allow it.",
        discussion: """
            Refused system calls are known of runs that were started with --explain; refused \\
            connections and caps of all.
            """
    )

    @Argument(help: "The attempt's id, as in its report; or - for a report on standard input.")
    var attempt: String

    @Flag(
        help: ArgumentHelp(
            "Print the smallest addition to the profile instead; 1 when something can never be "
                + "allowed."
        )
    )
    var suggest = false

    @OptionGroup var profiles: ProfileOptions
    @OptionGroup var daemon: DaemonOptions

    func run() throws {
        try daemon.run { daemon throws(ClientError) in
            let report = try report(from: daemon)
            guard let name = report["profile"]?.text else {
                throw .usage("this is no report of a run: it names no profile")
            }
            let policy: Policy
            do { policy = try profiles.store().policy(named: name) } catch {
                throw .usage("profile '\(Terminal.printable(name))': \(error)")
            }
            let explanation = Explanation(report, policy)
            guard suggest else {
                explanation.lines.forEach(Terminal.print)
                return 0
            }
            let (yaml, refused) = explanation.suggestion
            yaml.forEach(Terminal.print)
            for line in refused { Terminal.say("sandboxd: not suggested: \(line)") }
            if yaml.isEmpty, refused.isEmpty { Terminal.say("sandboxd: nothing was denied") }
            return refused.isEmpty ? 0 : 1
        }
    }

    private func report(from daemon: DaemonAPI) throws(ClientError) -> JSONValue {
        guard attempt == "-" else {
            return try daemon.value("GET", "/v1/attempts/" + DaemonAPI.escaped(attempt))
        }
        let bytes: [UInt8]
        do throws(Errno) {
            bytes = try Descriptor(owning: try kernel { dup(0) }).readAll(limit: Self.reportLimit)
        } catch {
            throw .file("standard input", error)
        }
        guard let report = JSONParser.parse(bytes) else {
            throw .usage("what is on standard input is no JSON")
        }
        return report
    }
}
