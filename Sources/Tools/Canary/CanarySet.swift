// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import Client
internal import JSON

/// `sandboxd canary set`: also the rollback.
struct CanarySet: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "set",
        abstract: "Sets the share of a profile's tasks that goes to sandboxes.",
        discussion: """
            What waits is moved at once; what runs goes on where it is. 0 is the rollback. The tasks \
            outside of the share wait in the pool 'host', for workers of your own.
            """
    )

    @Argument(help: "The profile.")
    var profile: String

    @Argument(help: "The percentage, from 0 to 100, like 10 or 2.5.")
    var percent: String?

    @Option(
        help: ArgumentHelp(
            "Run tasks of the host in a sandbox too, and compare.",
            valueName: "on|off"
        )
    )
    var shadow: String?

    @Option(
        help: ArgumentHelp(
            "When more than this share of the last runs begun since now failed or differed, the "
                + "percentage becomes 0 by itself. It is 20 when nobody says.",
            valueName: "percent|none"
        )
    )
    var bound: String?

    @Option(help: ArgumentHelp("Of how many runs; 20 when nobody says.", valueName: "n"))
    var boundRuns: Int?

    @Flag(help: "Print a JSON object to standard output.")
    var json = false

    @OptionGroup var daemon: DaemonOptions

    func run() throws {
        try daemon.run { daemon throws(ClientError) in
            let answer = try daemon.value(
                "PUT",
                "/v1/canaries/" + DaemonAPI.escaped(profile),
                body: .object(try settings())
            )
            if json {
                Terminal.print(answer)
            } else {
                Terminal.print(CanaryProse.line(answer["canary"] ?? .null))
                Terminal.print("\(answer["moved"]?.int ?? 0) waiting tasks changed sides")
            }
            return 0
        }
    }

    private func settings() throws(ClientError) -> [String: JSONValue] {
        var settings: [String: JSONValue] = [:]
        if let percent { settings["percent"] = .string(percent) }
        if let shadow {
            guard shadow == "on" || shadow == "off" else {
                throw .usage("--shadow '\(shadow)': give on or off")
            }
            settings["shadow"] = .bool(shadow == "on")
        }
        if let bound { settings["bound_percent"] = bound == "none" ? .null : .string(bound) }
        if let boundRuns { settings["bound_runs"] = .number(String(boundRuns)) }
        guard !settings.isEmpty else {
            throw .usage("say what to set: a percentage, --shadow, --bound or --bound-runs")
        }
        return settings
    }
}
