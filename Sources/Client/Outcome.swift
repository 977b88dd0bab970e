// SPDX-License-Identifier: Apache-2.0
package import JSON

/// A run's report as a person and a shell see it.
package struct Outcome {
    private let result: JSONValue
    private let verdict: String

    package init(_ result: JSONValue) {
        self.result = result
        verdict = result["verdict"]?.text ?? "engine_error"
    }

    /// As timeout(1) and env(1) do it.
    package var exitStatus: Int32 {
        switch verdict {
        case "ok": 0
        case "exit": Int32(result["exit_code"]?.int ?? 125)
        case "signal": 128 + Int32(result["signal"]?.int ?? 0)
        case "seccomp": 128 + 31
        case "wall_time", "cpu_time": 124
        case "oom": 137
        default: 125
        }
    }

    /// The status that the command itself ended with, as a shell has it; nil when it was ended, or
    /// never began.
    package var commandStatus: Int32? {
        ["ok", "exit", "signal"].contains(verdict) ? exitStatus : nil
    }

    /// Whether the exit status alone would leave people wondering.
    package var isWorthSaying: Bool {
        !["ok", "exit", "signal"].contains(verdict)
    }

    /// One line.
    package var summary: String {
        var parts = [headline]
        if let total = result["timing"]?["total"]?.double { parts.append(Self.time(total)) }
        if let peak = result["usage"]?["memory_peak_bytes"]?.double {
            parts.append("peak memory " + Self.size(peak))
        }
        return "sandboxd: " + parts.joined(separator: ", ")
    }

    private var headline: String {
        let evidence = result["evidence"]
        switch verdict {
        case "exit": return "exit \(result["exit_code"]?.int ?? 0)"
        case "signal": return "signal \(result["signal"]?.int ?? 0)"
        case "oom": return "oom (over \(Self.size(evidence?["memory_limit_bytes"]?.double ?? 0)))"
        case "engine_error": return "engine_error: " + (evidence?["reason"]?.text ?? "unknown")
        default: return verdict
        }
    }

    private static func time(_ milliseconds: Double) -> String {
        milliseconds < 1000
            ? ByteSize.tenths(milliseconds) + " ms" : ByteSize.tenths(milliseconds / 1000) + " s"
    }

    private static func size(_ bytes: Double) -> String {
        ByteSize.tenths(bytes / 1_048_576) + " MiB"
    }
}
