// SPDX-License-Identifier: Apache-2.0
internal import JSON
internal import Spawner
internal import Tasks

/// Somebody who follows a task: its states, and what it writes as it writes it.
///
/// Output can be seen while an attempt runs on this node. It is looked at in what the attempt keeps
/// anyway, so a slow follower holds nothing up, and may miss what is dropped in between.
struct TaskFollower: Sendable {
    let queue: TaskQueue
    let runner: TaskRunner?
    let task: Int
    let wantsOutput: Bool

    private var lastState = ""
    private var attempt: AttemptID?
    private var offsets: [OutputChunk.Stream: UInt64] = [:]
    /// Whether the task has ended and that has been told.
    private(set) var isOver = false

    init(_ task: Int, queue: TaskQueue, runner: TaskRunner?, wantsOutput: Bool) {
        self.task = task
        self.queue = queue
        self.runner = runner
        self.wantsOutput = wantsOutput
    }

    /// What is new, as lines.
    mutating func news() async throws -> [String] {
        var lines = wantsOutput ? try await output() : []
        let state: String?
        do throws(TaskError) { state = try await queue.state(of: task) } catch {
            // A database that is away for a moment has nothing to tell.
            return lines
        }
        guard let state else {
            isOver = true
            return lines
        }
        if state != lastState { lines.append(state + "\n") }
        lastState = state
        isOver = Self.hasEnded(state)
        return lines
    }

    private mutating func output() async throws -> [String] {
        guard let running = await runner?.attempt(of: task) else { return [] }
        if attempt != running.attempt {
            attempt = running.attempt
            offsets = [:]
        }
        let kept = await running.sandbox.keptSoFar()
        var lines: [String] = []
        for (stream, output) in [
            (OutputChunk.Stream.stdout, kept.output), (.stderr, kept.errorOutput),
        ] {
            while true {
                let piece = output.piece(from: offsets[stream] ?? 0)
                if piece.bytes.isEmpty { break }
                offsets[stream] = piece.offset + UInt64(piece.bytes.count)
                let event: JSONObject = [
                    "event": stream.rawValue, "attempt_id": running.attempt.description,
                    "offset": piece.offset, "data": Base64.encode(piece.bytes),
                ]
                lines.append(JSONAnswer.text(event) + "\n")
            }
        }
        return lines
    }

    private static func hasEnded(_ state: String) -> Bool {
        guard let word = JSONParser.parse(Array(state.utf8))?["state"]?.text else { return true }
        return !["ready", "delayed", "awaiting_approval", "running"].contains(word)
    }
}
