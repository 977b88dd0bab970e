// SPDX-License-Identifier: Apache-2.0

/// What a container is doing.
package enum ContainerStatus: Sendable, Hashable {
    case created
    case running
    case paused
    case restarting
    case removing
    case exited
    case dead
    /// Another word: Podman has some of its own.
    case other(String)

    init(_ text: String) {
        self =
            switch text.lowercased() {
            case "created", "configured", "initialized": .created
            case "running": .running
            case "paused": .paused
            case "restarting": .restarting
            case "removing": .removing
            case "exited", "stopped": .exited
            case "dead": .dead
            default: .other(Visible.text(text, limit: 100))
            }
    }
}

/// How a container is, or how it ended.
package struct ContainerState: Sendable, Hashable {
    package let status: ContainerStatus
    package let isRunning: Bool
    /// Its first process, in the engine's PID namespace; nil when it has none.
    package let pid: Int32?
    /// Of its first process; means something only when that has ended.
    package let exitCode: Int?
    /// Whether the engine believes that memory ran out: a hint, and no evidence.
    package let oomKilled: Bool
    /// Why it did not start, in the engine's words; nil when there is nothing to say.
    package let error: String?
}

extension ContainerState {
    init(_ reading: Reading) throws(DockerError.Reason) {
        status = ContainerStatus(try reading.requiredText("Status"))
        isRunning = try reading.flag("Running") ?? false
        let number = try reading.integer("Pid") ?? 0
        guard let pid = Int32(exactly: number), pid >= 0 else {
            throw reading.wrong("Pid", "\(number), and no process id")
        }
        self.pid = pid == 0 ? nil : pid
        exitCode = try reading.integer("ExitCode")
        oomKilled = try reading.flag("OOMKilled") ?? false
        let words = try reading.text("Error") ?? ""
        error = words.isEmpty ? nil : Visible.text(words)
    }
}
