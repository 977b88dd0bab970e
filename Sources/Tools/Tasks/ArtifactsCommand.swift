// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import Client
internal import JSON

/// `sandboxd artifacts`: the files of a task's last attempt.
struct ArtifactsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "artifacts",
        abstract: "Lists or saves the files that a task left.",
        discussion: "They are what its last attempt left in /workspace/out."
    )

    @Argument(help: ArgumentHelp("The task's number.", valueName: "id"))
    var id: Int

    @Option(help: ArgumentHelp("Save them into this directory.", valueName: "dir"))
    var out: String?

    @Flag(help: "Print a JSON object to standard output.")
    var json = false

    @OptionGroup var daemon: DaemonOptions

    func run() throws {
        try daemon.run { daemon throws(ClientError) in
            let task = try TaskRecord(daemon, id)
            guard let report = task.report, report["artifacts"] != nil else {
                throw .refused(task.silence)
            }
            if let out { try ArtifactSaver(daemon, directory: out).save(report) }
            if json {
                Terminal.print(
                    .object([
                        "artifacts": report["artifacts"] ?? .array([]),
                        "artifacts_refused": report["artifacts_refused"] ?? .array([]),
                    ])
                )
            } else if out == nil {
                printTable(report)
            }
            return 0
        }
    }

    private func printTable(_ report: JSONValue) {
        var table = Table(["BYTES", "MODE", "SHA256", "PATH"])
        let kept = (report["artifacts"]?.elements ?? []).map { artifact in
            [
                "\(artifact["bytes"]?.int ?? 0)", String(artifact["mode"]?.int ?? 0, radix: 8),
                String((artifact["sha256"]?.text ?? "").prefix(12)), Self.name(artifact),
            ]
        }
        let refused = (report["artifacts_refused"]?.elements ?? []).map { artifact in
            ["-", "-", "not kept: " + (artifact["reason"]?.text ?? "?"), Self.name(artifact)]
        }
        table.print(kept + refused)
    }

    /// The name, harmless on a terminal. Bytes that are no text are shown as such.
    private static func name(_ artifact: JSONValue) -> String {
        let text = artifact["path"]?.text ?? ""
        guard artifact["path_encoding"]?.text == "base64" else { return Terminal.printable(text) }
        return Terminal.printable(String(decoding: Base64.decode(text) ?? [], as: UTF8.self))
    }
}
