// SPDX-License-Identifier: Apache-2.0
import Testing

extension API {
    /// Sends JSON; fails when the answer has another status.
    @discardableResult
    func send(
        _ method: String,
        _ path: String,
        _ body: JSON? = nil,
        status: Int = 200,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> JSON {
        let answer = try answer(method, path, body: try body?.bytes)
        try #require(answer.status == status, "\(answer.text)", sourceLocation: sourceLocation)
        return try answer.json
    }

    /// A daemon that has just started may have no database yet, for long on a slow machine.
    func waitUntilQueueIsReady() throws {
        _ = try Host.waits(upTo: .seconds(20)) {
            try status()["queue"]?["ready"]?.bool != false
        }
    }

    /// Puts a task into the queue and answers its id; `more` are the queue's keys.
    func submit(
        _ argv: [String],
        _ more: [String: JSON] = [:],
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> Int {
        try waitUntilQueueIsReady()
        var task = more
        task["profile"] = task["profile"] ?? .string("code")
        task["argv"] = .array(argv.map(JSON.string))
        let made = try send(
            "POST",
            "/v1/tasks",
            .object(task),
            status: 202,
            sourceLocation: sourceLocation
        )
        return try #require(made["task_id"]?.int)
    }

    /// A task with its attempts.
    func task(_ id: Int) throws -> JSON { try send("GET", "/v1/tasks/\(id)") }

    /// A task's state.
    func state(_ id: Int) throws -> String { try task(id)["state"]?.text ?? "none" }

    /// Waits until a task is in one of these states, and answers it.
    func task(
        _ id: Int,
        is states: Set<String>,
        within limit: Duration = .seconds(20),
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> JSON {
        var last = JSON.null
        let isThere = try Host.waits(upTo: limit) {
            last = try task(id)
            return states.contains(last["state"]?.text ?? "")
        }
        try #require(
            isThere,
            "task \(id) is not \(states): \(last)",
            sourceLocation: sourceLocation
        )
        return last
    }

    /// A unit of a budget: `used`, `reserved` or `cap`.
    func budget(_ name: String, _ unit: String, _ what: String) throws -> Int? {
        try send("GET", "/v1/budgets/" + name)["units"]?[unit]?[what]?.int
    }

    /// Makes a budget of a name of its own, with these settings.
    func makeBudget(_ settings: [String: JSON]) throws -> String {
        let name = Host.unique("budget")
        try send("PUT", "/v1/budgets/" + name, .object(settings))
        return name
    }
}

/// The states of a task that has ended.
let endedStates: Set<String> = [
    "succeeded", "failed", "cancelled", "dead", "rejected", "expired",
]
