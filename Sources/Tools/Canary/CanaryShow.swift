// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import Client
internal import JSON

/// `sandboxd canary show`.
struct CanaryShow: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Shows which share of a profile's tasks goes to sandboxes."
    )

    @Argument(help: "The profile; all that were ever set when nobody says.")
    var profile: String?

    @Flag(help: "Print a JSON object to standard output.")
    var json = false

    @OptionGroup var daemon: DaemonOptions

    func run() throws {
        try daemon.run { daemon throws(ClientError) in
            let path = profile.map { "/v1/canaries/" + DaemonAPI.escaped($0) } ?? "/v1/canaries"
            let answer = try daemon.value("GET", path)
            if json {
                Terminal.print(answer)
                return 0
            }
            let canaries = profile == nil ? answer["canaries"]?.elements ?? [] : [answer]
            if canaries.isEmpty { Terminal.print("no canary was set: all tasks go to sandboxes") }
            for canary in canaries { Terminal.print(CanaryProse.line(canary)) }
            return 0
        }
    }
}

/// A canary in a line.
enum CanaryProse {
    static func line(_ canary: JSONValue) -> String {
        var parts = [
            "\(canary["profile"]?.text ?? "?"): \(canary["percent"]?.text ?? "?") % to sandboxes"
        ]
        if canary["shadow"] == .bool(true) { parts.append("the others shadowed") }
        if let bound = canary["bound_percent"]?.text {
            parts.append("back to 0 above \(bound) % of \(canary["bound_runs"]?.int ?? 0) runs")
        }
        if let why = canary["tripped_why"]?.text {
            parts.append("ROLLED BACK BY ITSELF: \(why)")
        }
        return parts.joined(separator: "; ")
    }
}
