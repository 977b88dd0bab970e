// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import Client
internal import Glibc
internal import JSON
internal import Kernel
internal import Policy
internal import SystemPackage

/// `sandboxd profile learn`: a profile with no more than a command was seen to need.
struct LearnCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "learn",
        abstract: "Runs a command, and writes a profile with no more than it was seen to need.",
        discussion: """
            The command runs under the profile that --from names, and never gets more than that. What \\
            is written are NAME.yaml and syscalls/NAME.yaml: the system calls that were made, each with \\
            why, how often and by whom, and caps on memory and processes at twice the most that was \\
            used. Read both before you use them: a run that goes another way needs other calls.
            """
    )

    @Option(help: ArgumentHelp("The profile to begin with.", valueName: "profile"))
    var from = "code"

    @Option(help: ArgumentHelp("What the new profile is called.", valueName: "name"))
    var name: String

    @Option(help: ArgumentHelp("How often the command is run.", valueName: "n"))
    var runs = 3

    @Option(
        name: .customLong("file"),
        help: ArgumentHelp("Put a file into the workspace.", valueName: "src[:dst]")
    )
    var files: [String] = []

    @Option(
        help: ArgumentHelp(
            "Where the two files are written; the profiles' own directory when nobody "
                + "says.",
            valueName: "dir"
        )
    )
    var out: String?

    @OptionGroup var profiles: ProfileOptions
    @OptionGroup var daemon: DaemonOptions

    @Argument(parsing: .postTerminator, help: "The command and its arguments.")
    var command: [String] = []

    func run() throws {
        try daemon.run { daemon throws(ClientError) in
            guard !command.isEmpty else { throw .usage("say what to run: … learn … -- command") }
            guard (1...100).contains(runs) else { throw .usage("--runs \(runs): give 1 to 100") }
            let policy = try policy(from)
            var list = LearnedList(name: name, base: policy.syscalls)
            var (memory, pids) = (0, 0)
            for _ in 0..<runs {
                let report = try report(daemon)
                list.add(report)
                memory = max(memory, report["usage"]?["memory_peak_bytes"]?.int ?? 0)
                pids = max(pids, report["usage"]?["pids_peak"]?.int ?? 0)
            }
            try write(list, memory: memory, pids: pids, beside: policy)
            return 0
        }
    }

    private func policy(_ name: String) throws(ClientError) -> Policy {
        do { return try profiles.store().policy(named: name) } catch {
            throw .usage("profile '\(name)': \(error)")
        }
    }

    /// One run that ended well by itself: what else can be learned is how to fail.
    private func report(_ daemon: DaemonAPI) throws(ClientError) -> JSONValue {
        let input = RunInput(
            arguments: command,
            environment: [],
            files: files,
            timeout: nil,
            memory: nil
        )
        var body = try input.members()
        body["profile"] = .string(from)
        body["explain"] = .string("all")
        let report = try daemon.value("POST", "/v1/runs", body: .object(body))
        guard report["verdict"]?.text == "ok" else {
            throw .refused(
                "the command did not end well (\(Outcome(report).summary)), and nothing was written: "
                    + Terminal.printable(String((report["stderr"]?.text ?? "").suffix(500)))
            )
        }
        guard report["calls_unrecorded"]?.int == 0 else {
            throw .refused("the command makes more kinds of calls than are kept")
        }
        return report
    }

    private func write(
        _ list: LearnedList,
        memory: Int,
        pids: Int,
        beside policy: Policy
    ) throws(ClientError) {
        let source: String
        do throws(Errno) { source = try profiles.directory() } catch {
            throw .file("the profiles", error)
        }
        let directory = out ?? source
        let text = command.map { $0.contains(" ") ? "'\($0)'" : $0 }.joined(separator: " ")
        let profile = LearnedProfile(
            try Self.read(source + "/" + from + ".yaml"),
            name: name,
            base: policy.syscalls.base,
            runs: list.runs
        )
        .capped("memory", at: memory, below: Int(clamping: policy.limits.memoryBytes), isSize: true)
        .capped("pids", at: pids, below: Int(policy.limits.pids), isSize: false)
        mkdir(directory + "/syscalls", 0o755)
        let paths = (directory + "/syscalls/" + name + ".yaml", directory + "/" + name + ".yaml")
        try Self.create(paths.0, list.yaml(command: text))
        do throws(ClientError) { try Self.create(paths.1, profile.yaml) } catch {
            unlink(paths.0)
            throw error
        }
        Terminal.print(paths.1)
        Terminal.print(paths.0)
    }

    private static func read(_ path: String) throws(ClientError) -> String {
        do throws(Errno) {
            return String(
                decoding: try Descriptor.open(path, O_RDONLY).readAll(limit: 1 << 20),
                as: UTF8.self
            )
        } catch {
            throw .file(path, error)
        }
    }

    /// Never over something that is there.
    private static func create(_ path: String, _ text: String) throws(ClientError) {
        guard access(path, F_OK) != 0 else {
            throw .usage("\(path) is there already: give another --name")
        }
        guard let file = fopen(path, "wx") else { throw .file(path, Errno(rawValue: errno)) }
        fputs(text, file)
        guard fclose(file) == 0 else { throw .file(path, Errno(rawValue: errno)) }
    }
}

/// The profile that is written: its parent's text, with other calls and smaller caps.
private struct LearnedProfile {
    private(set) var yaml: String
    private let runs: Int

    init(_ parent: String, name: String, base: String, runs: Int) {
        self.runs = runs
        let lines = parent.split(separator: "\n", omittingEmptySubsequences: false)
        var isInAdditions = false
        var written: [String] = []
        for line in lines {
            // What the parent allowed beside its list is in the new list, as far as it was used.
            if isInAdditions, line.hasPrefix("    ") { continue }
            isInAdditions = false
            if line.hasPrefix("name: ") {
                written.append("name: \(name)")
            } else if line.hasPrefix("  base: ") {
                written.append("  base: \(name) # learned from \(runs) runs under \(base)")
            } else if line.hasPrefix("  allow:"), written.last?.hasPrefix("  base: ") == true {
                written.append("  allow: []")
                isInAdditions = true
            } else {
                written.append(String(line))
            }
        }
        yaml = written.joined(separator: "\n")
    }

    /// The same with a limit at twice what was used, when that is less.
    func capped(_ limit: String, at peak: Int, below most: Int, isSize: Bool) -> LearnedProfile {
        let mebibyte = 1 << 20
        let wanted =
            isSize ? max(32 * mebibyte, (2 * peak / mebibyte + 1) * mebibyte) : max(8, 2 * peak)
        guard peak > 0, wanted < most else { return self }
        var copy = self
        copy.yaml = yaml.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            guard line.hasPrefix("  \(limit): ") else { return String(line) }
            let value = isSize ? "\(wanted / mebibyte)MiB" : "\(wanted)"
            return "  \(limit): \(value) # twice the most that \(runs) runs used"
        }.joined(separator: "\n")
        return copy
    }
}
