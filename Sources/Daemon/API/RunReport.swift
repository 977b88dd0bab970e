// SPDX-License-Identifier: Apache-2.0
internal import Crypto
internal import Policy
internal import Spawner

/// The answer to a run, as the API words it.
enum RunReport {
    /// With no more of each output than `outputLimit` bytes.
    static func object(_ result: RunResult, outputLimit: Int = .max) -> JSONObject {
        let keptOutput = result.output.trimmed(to: outputLimit)
        let keptErrorOutput = result.errorOutput.trimmed(to: outputLimit)
        let output = ReportedBytes(keptOutput)
        let errorOutput = ReportedBytes(keptErrorOutput)
        return [
            "attempt_id": result.attempt.description,
            "profile": result.profile,
            "engine": result.engine,
            "image_digest": result.imageDigest,
            "verdict": result.verdict.word,
            "exit_code": exitCode(result.verdict),
            "signal": signal(result.verdict),
            "evidence": JSONObject(result.evidence) { ($0.name, value($0)) },
            "usage": usage(result.usage),
            "timing": timing(result.timing),
            "receipt": receipt(result.receipt),
            "artifacts": result.artifacts.map(artifact),
            "artifacts_refused": result.refusedArtifacts.map(refused),
            "network": result.reached.map(reached),
            "calls": result.calls.map(call),
            "calls_unrecorded": result.unrecordedCalls,
            "stdout": output.text,
            "stdout_encoding": output.encoding,
            "stdout_truncated": keptOutput.droppedBytes > 0,
            "stdout_bytes": byteCount(result.output),
            "stdout_sha256": digest(result.output),
            "stderr": errorOutput.text,
            "stderr_encoding": errorOutput.encoding,
            "stderr_truncated": keptErrorOutput.droppedBytes > 0,
            "stderr_bytes": byteCount(result.errorOutput),
            "stderr_sha256": digest(result.errorOutput),
        ]
    }

    /// The same as text.
    static func text(_ result: RunResult, outputLimit: Int) -> String {
        JSONAnswer.text(object(result, outputLimit: outputLimit))
    }

    /// All that was written, kept or not.
    private static func byteCount(_ output: KeptOutput) -> Int {
        output.head.count + output.tail.count + Int(clamping: output.droppedBytes)
    }

    /// Of all that was written, in hex; nil when some was dropped before anybody saw it.
    private static func digest(_ output: KeptOutput) -> String? {
        guard output.droppedBytes == 0 else { return nil }
        return SHA256.hash(data: output.head + output.tail).map { byte in
            String(byte >> 4, radix: 16) + String(byte & 15, radix: 16)
        }.joined()
    }

    /// The job's own exit status, when it had one.
    static func exitCode(_ verdict: Verdict) -> Int32? {
        switch verdict {
        case .ok: 0
        case .exit(let code): code
        default: nil
        }
    }

    private static func signal(_ verdict: Verdict) -> Int32? {
        if case .signal(let number) = verdict { number } else { nil }
    }

    private static func value(_ evidence: Evidence) -> any Encodable {
        switch evidence.value {
        case .number(let number): number
        case .text(let text): text
        }
    }

    private static func usage(_ usage: Usage) -> JSONObject {
        [
            "cpu_ms": rounded(usage.cpuMilliseconds),
            "cpu_user_ms": rounded(usage.cpuUserMilliseconds),
            "cpu_system_ms": rounded(usage.cpuSystemMilliseconds),
            "memory_peak_bytes": usage.memoryPeakBytes,
            "pids_peak": usage.pidsPeak,
            "wall_ms": rounded(usage.wallMilliseconds),
            "output_kept_bytes": usage.outputKeptBytes,
            "output_dropped_bytes": usage.outputDroppedBytes,
            "workspace_bytes": usage.workspaceBytes,
            "workspace_inodes": usage.workspaceInodes,
            "egress_bytes": usage.egressBytes,
        ]
    }

    /// Milliseconds to the microsecond, without the noise of binary fractions.
    private static func rounded(_ milliseconds: Double) -> Double {
        (milliseconds * 1000).rounded() / 1000
    }

    private static func timing(_ timing: Timing) -> JSONObject {
        [
            "setup": rounded(timing.setup), "run": rounded(timing.run),
            "teardown": rounded(timing.teardown),
            "total": rounded(timing.total),
        ]
    }

    private static func receipt(_ receipt: Receipt) -> JSONObject {
        var object: JSONObject = [
            "clean": receipt.isClean,
            "init_dead": receipt.initDead,
            "processes_left": receipt.processesLeft,
            "cgroup_removed": receipt.cgroupRemoved,
            "namespaces_released": receipt.namespacesReleased,
            "problems": receipt.problems,
        ]
        if let removed = receipt.containerRemoved { object.add("container_removed", removed) }
        return object
    }

    private static func artifact(_ artifact: Artifact) -> JSONObject {
        let name = ReportedBytes(artifact.path)
        return [
            "path": name.text, "path_encoding": name.encoding, "bytes": artifact.bytes,
            "mode": artifact.mode, "sha256": artifact.sha256,
        ]
    }

    private static func reached(_ reached: Reached) -> JSONObject {
        [
            "place": reached.place, "allowed": reached.reason == nil, "rule": reached.rule,
            "reason": reached.reason, "cause": reached.cause, "count": reached.count,
            "sent_bytes": reached.sentBytes, "received_bytes": reached.receivedBytes,
        ]
    }

    private static func call(_ call: SeenCall) -> JSONObject {
        let arguments = call.arguments.sorted { $0.key < $1.key }
        return [
            "name": SyscallNames.name(of: call.number), "number": call.number,
            "errno": call.errno.map(SyscallNames.errno),
            "arguments": JSONObject(arguments) { ("arg\($0.key)", $0.value) },
            "program": ReportedBytes(call.program).text, "count": call.count,
        ]
    }

    private static func refused(_ refused: RefusedArtifact) -> JSONObject {
        let name = ReportedBytes(refused.path)
        return [
            "path": name.text, "path_encoding": name.encoding, "reason": refused.reason.rawValue,
        ]
    }
}

/// Bytes in JSON: as text when they are UTF-8, else in base64, and it says which.
struct ReportedBytes {
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

    /// What was kept of a stream, with a mark where something was left out.
    init(_ output: KeptOutput) {
        guard output.droppedBytes > 0 else {
            self.init(output.head)
            return
        }
        let mark = "\n[... \(output.droppedBytes) bytes dropped ...]\n"
        self.init(output.head + Array(mark.utf8) + output.tail)
    }
}
