// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// What is known of one run of a row, for the judge and for the oracles.
struct ProbeOutcome {
    var run: ProbeRun
    /// nil when it ran on the host.
    var report: Report?
    /// The API's answer as it came.
    var raw: [UInt8] = []
    var stdout: [UInt8]
    var stderr: [UInt8]
    /// The mark in the environment of what ran on the host.
    var mark: String?
}

/// Runs a row's command lines in sandboxes of one daemon.
struct SandboxedProbe {
    let probe: Probe
    let scene: ProbeScene
    let daemon: TestDaemon
    let values: ProbeValues

    private static let path = "/workspace/probe"

    init(_ probe: Probe, _ scene: ProbeScene, _ daemon: TestDaemon) {
        self.probe = probe
        self.scene = scene
        self.daemon = daemon
        values = scene.values(workspace: "/workspace", daemon: daemon)
    }

    /// Runs `command` with the row's profile, limits and input, beside and after what the row says.
    /// `looking` is called when everything that runs beside it does, before it starts.
    func run(_ command: ProbeCommand, looking: () throws -> Void) throws -> ProbeOutcome {
        if let before = probe.before { _ = try daemon.api.run(try request(before, limited: false)) }
        let beside = try probe.beside.map { command in
            let live = try daemon.api.start(try request(command, limited: false))
            while live.output["stdout"] == nil { _ = try #require(try live.next()) }
            return live
        }
        try looking()
        let began = Host.milliseconds
        let answer = try answer(try request(command, limited: true))
        let took = Host.milliseconds - began
        beside?.cancel()
        try #require(answer.status == 200, "\(answer.text.prefix(500))")
        return try outcome(answer, milliseconds: took)
    }

    private func request(_ command: ProbeCommand, limited: Bool) throws -> Run {
        let arguments = try command.arguments(program: Self.path, values: values)
        var more: [String: JSON] = [:]
        if case .probe = command {
            let bytes = try Data(contentsOf: URL(filePath: scene.program)).base64EncodedString()
            more["files"] = [["path": "probe", "base64": .string(bytes), "mode": 493]]
        }
        let run = Run(arguments, profile: probe.profile, more)
        guard limited else { return run }
        var limits: [String: JSON] = [:]
        for (name, value) in probe.limits {
            let key = try #require(Self.limitNames[name], "no limit is called \(name)")
            limits[key] = .number(Double(value))
        }
        return run.limited(limits)
    }

    /// The API's names of what profiles, and the table, call otherwise.
    private static let limitNames = [
        "memory": "memory_bytes", "swap": "swap_bytes", "pids": "pids", "cpu": "cpu_millicores",
        "cpu_time": "cpu_time_ms", "wall_time": "wall_time_ms", "workspace": "workspace_bytes",
        "workspace_inodes": "workspace_inodes", "shared_memory": "shared_memory_bytes",
        "output": "output_bytes", "output_total": "output_total_bytes",
        "artifact_bytes": "artifact_bytes", "artifact_count": "artifact_count",
        "open_files": "open_files",
    ]

    private func answer(_ run: Run) throws -> HTTPAnswer {
        guard probe.inputBytes > 0 else { return try daemon.api.post(try run.json.bytes) }
        // Streamed, by a thread of its own: a job that does not read holds the writer up.
        var streamed = run
        if case .object(var members) = run.json {
            members["stdin_stream"] = true
            streamed.json = .object(members)
        }
        let connection = try HTTPConnection(daemon.socket)
        try connection.begin(
            "POST",
            "/v1/runs",
            headers: ["Accept": "application/json", "Content-Type": "application/x-ndjson"]
        )
        try connection.chunk(try streamed.json.bytes + [10])
        let count = probe.inputBytes
        let feeder = Feeder(connection)
        let thread = Thread { feeder.feed(count) }
        thread.start()
        return try connection.answer()
    }

    /// Gives zero bytes to a run, on a thread of its own.
    private final class Feeder: @unchecked Sendable {
        // SAFETY: the thread only writes to the connection, the test only reads from it.
        private let connection: HTTPConnection

        init(_ connection: HTTPConnection) { self.connection = connection }

        func feed(_ count: Int) {
            let piece = 98_304
            let zeros = Data(count: piece).base64EncodedString()
            let line = Array("{\"stdin\":\"\(zeros)\"}\n".utf8)
            // A job that ended, or a daemon that has answered, wants no more of it.
            do {
                for _ in 0..<count / piece { try connection.chunk(line) }
                if count % piece > 0 {
                    let rest = Data(count: count % piece).base64EncodedString()
                    try connection.chunk(Array("{\"stdin\":\"\(rest)\"}\n".utf8))
                }
                try connection.chunk([])
            } catch { return }
        }
    }

    private func outcome(_ answer: HTTPAnswer, milliseconds: Int) throws -> ProbeOutcome {
        let report = Report(json: try answer.json)
        let verdict = try #require(ProbeVerdict(rawValue: report.verdict), "\(report.json)")
        let lines = probe.report == .stdout ? report.stdout : report.stderr
        var run = ProbeRun(
            verdict: verdict,
            exitCode: report.exitCode,
            milliseconds: milliseconds,
            lines: ProbeLine.lines(in: lines)
        )
        run.evidence = report.json["evidence"].map { "\($0)" } ?? ""
        let text = String(decoding: report.stdout, as: UTF8.self)
        if probe.expectation.golden != nil { run.sweep = SyscallSweep(text: text) }
        run.artifacts = report.artifacts.keys.map { String(decoding: $0, as: UTF8.self) }
        run.stdoutSHA256 = try Self.sha256(report.stdout)
        run.stderrSHA256 = try Self.sha256(report.stderr)
        return ProbeOutcome(
            run: run,
            report: report,
            raw: answer.body,
            stdout: report.stdout,
            stderr: report.stderr
        )
    }

    /// By the host's own tool, which shares no code with the daemon.
    private static func sha256(_ bytes: [UInt8]) throws -> String {
        let file = URL(filePath: try Installation.shared.get().directory + "/" + UUID().uuidString)
        try Data(bytes).write(to: file)
        defer { unlink(file.path) }
        return String(try Program.run(["sha256sum", file.path]).text.prefix(64))
    }
}
