// SPDX-License-Identifier: Apache-2.0
internal import Spawner

/// The answer to a run, as the API gives it: every key is always there.
struct RunReport: Encodable, Sendable {
    let result: RunResult

    init(_ result: RunResult) {
        self.result = result
    }

    func encode(to encoder: any Encoder) throws {
        var body = encoder.container(keyedBy: AnyKey.self)
        func put(_ name: String, _ value: some Encodable) throws {
            try body.encode(value, forKey: AnyKey(name))
        }
        try put("attempt_id", result.attempt.description)
        try put("profile", result.profile)
        try put("engine", result.engine)
        try put("image_digest", result.imageDigest)
        try put("verdict", result.verdict.word)
        try put("exit_code", exitCode)
        try put("signal", signal)
        try put("evidence", EvidenceReport(evidence: result.evidence))
        try put("usage", UsageReport(result.usage))
        try put("timing", TimingReport(result.timing))
        try put("receipt", ReceiptReport(result.receipt))
        try put("artifacts", result.artifacts.map(ArtifactReport.init))
        try put("artifacts_refused", result.refusedArtifacts.map(RefusedReport.init))
        try put("stdout", OutputText(result.output).text)
        try put("stdout_encoding", OutputText(result.output).encoding)
        try put("stdout_truncated", result.output.droppedBytes > 0)
        try put("stderr", OutputText(result.errorOutput).text)
        try put("stderr_encoding", OutputText(result.errorOutput).encoding)
        try put("stderr_truncated", result.errorOutput.droppedBytes > 0)
    }

    private var exitCode: Int32? {
        switch result.verdict {
        case .ok: 0
        case .exit(let code): code
        default: nil
        }
    }

    private var signal: Int32? {
        if case .signal(let number) = result.verdict { number } else { nil }
    }
}

/// Bytes of a stream in JSON: as text when they are UTF-8, else in base64.
struct OutputText {
    let text: String
    let encoding: String

    init(_ output: KeptOutput) {
        var bytes = output.head
        if output.droppedBytes > 0 {
            bytes += Array("\n[... \(output.droppedBytes) bytes dropped ...]\n".utf8) + output.tail
        }
        if let text = String(validating: bytes, as: UTF8.self) {
            self.text = text
            encoding = "utf-8"
        } else {
            text = Base64.encode(bytes)
            encoding = "base64"
        }
    }
}

private struct EvidenceReport: Encodable {
    let evidence: [Evidence]

    func encode(to encoder: any Encoder) throws {
        var body = encoder.container(keyedBy: AnyKey.self)
        for item in evidence {
            switch item.value {
            case .number(let number): try body.encode(number, forKey: AnyKey(item.name))
            case .text(let text): try body.encode(text, forKey: AnyKey(item.name))
            }
        }
    }
}

private struct UsageReport: Encodable {
    let cpu_ms: Double
    let cpu_user_ms: Double
    let cpu_system_ms: Double
    let memory_peak_bytes: UInt64?
    let pids_peak: UInt64?
    let wall_ms: Double
    let output_kept_bytes: UInt64
    let output_dropped_bytes: UInt64
    let workspace_bytes: UInt64
    let workspace_inodes: UInt64

    init(_ usage: Usage) {
        cpu_ms = usage.cpuMilliseconds
        cpu_user_ms = usage.cpuUserMilliseconds
        cpu_system_ms = usage.cpuSystemMilliseconds
        memory_peak_bytes = usage.memoryPeakBytes
        pids_peak = usage.pidsPeak
        wall_ms = usage.wallMilliseconds
        output_kept_bytes = usage.outputKeptBytes
        output_dropped_bytes = usage.outputDroppedBytes
        workspace_bytes = usage.workspaceBytes
        workspace_inodes = usage.workspaceInodes
    }

    private enum Key: String, CodingKey {
        case cpu_ms, cpu_user_ms, cpu_system_ms, memory_peak_bytes, pids_peak, wall_ms,
            output_kept_bytes
        case output_dropped_bytes, workspace_bytes, workspace_inodes
    }

    func encode(to encoder: any Encoder) throws {
        var body = encoder.container(keyedBy: Key.self)
        try body.encode(cpu_ms, forKey: .cpu_ms)
        try body.encode(cpu_user_ms, forKey: .cpu_user_ms)
        try body.encode(cpu_system_ms, forKey: .cpu_system_ms)
        // Spelled out, because a synthesized encoder leaves out what is nil.
        try body.encode(memory_peak_bytes, forKey: .memory_peak_bytes)
        try body.encode(pids_peak, forKey: .pids_peak)
        try body.encode(wall_ms, forKey: .wall_ms)
        try body.encode(output_kept_bytes, forKey: .output_kept_bytes)
        try body.encode(output_dropped_bytes, forKey: .output_dropped_bytes)
        try body.encode(workspace_bytes, forKey: .workspace_bytes)
        try body.encode(workspace_inodes, forKey: .workspace_inodes)
    }
}

private struct TimingReport: Encodable {
    let setup: Double
    let run: Double
    let teardown: Double
    let total: Double

    init(_ timing: Timing) {
        setup = timing.setup
        run = timing.run
        teardown = timing.teardown
        total = timing.total
    }
}

private struct ReceiptReport: Encodable {
    let clean: Bool
    let init_dead: Bool
    let processes_left: UInt64?
    let cgroup_removed: Bool
    let namespaces_released: Bool
    let problems: [String]

    init(_ receipt: Receipt) {
        clean = receipt.isClean
        init_dead = receipt.initDead
        processes_left = receipt.processesLeft
        cgroup_removed = receipt.cgroupRemoved
        namespaces_released = receipt.namespacesReleased
        problems = receipt.problems
    }

    private enum Key: String, CodingKey {
        case clean, init_dead, processes_left, cgroup_removed, namespaces_released, problems
    }

    func encode(to encoder: any Encoder) throws {
        var body = encoder.container(keyedBy: Key.self)
        try body.encode(clean, forKey: .clean)
        try body.encode(init_dead, forKey: .init_dead)
        try body.encode(processes_left, forKey: .processes_left)
        try body.encode(cgroup_removed, forKey: .cgroup_removed)
        try body.encode(namespaces_released, forKey: .namespaces_released)
        try body.encode(problems, forKey: .problems)
    }
}

/// A name from a sandbox: as text when it is UTF-8, else in base64, and it says which.
private struct NameText {
    let text: String
    let encoding: String

    init(_ bytes: [UInt8]) {
        if let text = String(validating: bytes, as: UTF8.self) {
            self.text = text
            encoding = "utf-8"
        } else {
            text = Base64.encode(bytes)
            encoding = "base64"
        }
    }
}

private struct ArtifactReport: Encodable {
    let path: String
    let path_encoding: String
    let bytes: UInt64
    let mode: UInt32
    let sha256: String

    init(_ artifact: Artifact) {
        let name = NameText(artifact.path)
        path = name.text
        path_encoding = name.encoding
        bytes = artifact.bytes
        mode = artifact.mode
        sha256 = artifact.sha256
    }
}

private struct RefusedReport: Encodable {
    let path: String
    let path_encoding: String
    let reason: String

    init(_ refused: RefusedArtifact) {
        let name = NameText(refused.path)
        path = name.text
        path_encoding = name.encoding
        reason = refused.reason.rawValue
    }
}
