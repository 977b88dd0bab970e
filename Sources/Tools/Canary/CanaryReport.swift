// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import Client
internal import JSON

/// `sandboxd canary report`: what came of it.
struct CanaryReport: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report",
        abstract: "Shows where tasks went, what failed, and where a run and its shadow differ."
    )

    @Argument(help: "The profile.")
    var profile: String

    @Option(help: ArgumentHelp("How far back.", valueName: "n"))
    var hours = 24.0

    @Flag(help: "Print a JSON object to standard output.")
    var json = false

    @OptionGroup var daemon: DaemonOptions

    func run() throws {
        try daemon.run { daemon throws(ClientError) in
            let report = try daemon.value(
                "GET",
                "/v1/canaries/" + DaemonAPI.escaped(profile) + "/report?hours=\(hours)"
            )
            if json {
                Terminal.print(report)
            } else {
                Self.lines(report).forEach(Terminal.print)
            }
            return 0
        }
    }

    private static func lines(_ report: JSONValue) -> [String] {
        let tasks = report["tasks"]
        let runs = report["runs"]
        let compared = report["compared"]?.int ?? 0
        var lines = [
            CanaryProse.line(report["canary"] ?? .null),
            "tasks: \(tasks?["sandbox"]?.int ?? 0) to sandboxes, \(tasks?["host"]?.int ?? 0) to the "
                + "host",
            "runs in sandboxes: \(runs?["runs"]?.int ?? 0), failed \(runs?["failed"]?.int ?? 0)"
                + (runs?["verdicts"]?.text.map { " (\($0))" } ?? ""),
            "compared: \(compared), agreed \(report["agreed"]?.int ?? 0), missed "
                + "\(report["missed"]?.int ?? 0)",
        ]
        if compared > 0 {
            lines.append(
                "beside what counted (median): \(ratio(report["wall_ratio"])) of the time, "
                    + "\(ratio(report["memory_ratio"])) of the memory"
            )
        }
        for differing in report["differing"]?.elements ?? [] {
            lines.append(
                "\(Moment(differing["at"])?.text ?? "?")  task \(printable(differing["task"]))"
            )
            for line in differing["differences"]?.elements ?? [] {
                lines.append("  " + printable(line))
            }
        }
        return lines
    }

    private static func printable(_ value: JSONValue?) -> String {
        Terminal.printable(value?.text ?? "-")
    }

    private static func ratio(_ value: JSONValue?) -> String {
        value?.double.map { FixedPoint.text(Int($0 * 1000), per: 1000) } ?? "?"
    }
}
