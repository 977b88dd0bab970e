// SPDX-License-Identifier: Apache-2.0
internal import Client
internal import JSON

/// A task as a person reads it: what was asked for, and below it the attempts.
struct TaskProse {
    private let task: TaskRecord
    private var lines: [String] = []

    init(_ task: TaskRecord) {
        self.task = task
        sayRequest()
        task.attempts.forEach { sayAttempt($0) }
    }

    var text: String { lines.joined(separator: "\n") }

    /// A line with a name; nothing when there is no value.
    private mutating func say(_ name: String, _ value: String?) {
        guard let value, !value.isEmpty else { return }
        lines.append("  " + name + String(repeating: " ", count: max(1, 11 - name.count)) + value)
    }

    // MARK: What was asked for

    private mutating func sayRequest() {
        let json = task.json
        let ending = Self.ending(json).flatMap { $0 == task.state ? nil : $0 }
        lines.append("task \(task.id): \(task.state)" + (ending.map { " (\($0))" } ?? ""))
        say("command", CommandText.full(json["spec"]?["argv"]))
        say("profile", json["profile"]?.text)
        say("budget", json["budget"]?.text)
        say("key", json["key"]?.text.map(Terminal.printable))
        let priority = json["priority"]?.int ?? 0
        say("priority", priority == 0 ? nil : "\(priority)")
        say("directory", json["spec"]?["cwd"]?.text.map(Terminal.printable))
        sayInput(json["spec"])
        say("created", Self.moment(json["created_at"]))
        if let node = json["claimed_by"]?.text {
            say("runs", "on \(node) since " + (Self.moment(json["claimed_at"]) ?? "?"))
        }
        say("finished", Self.moment(json["finished_at"]))
    }

    /// Files and variables by their names. Of a direct run that is all that is kept.
    private mutating func sayInput(_ spec: JSONValue?) {
        let files = (spec?["files"]?.elements ?? []).compactMap { $0["path"]?.text ?? $0.text }
        say("files", files.map(Terminal.printable).joined(separator: ", "))
        var names = (spec?["env"]?.elements ?? []).compactMap(\.text)
        if case .object(let variables)? = spec?["env"] { names = variables.keys.sorted() }
        say("variables", names.map(Terminal.printable).joined(separator: ", "))
        if case .object(let limits)? = spec?["limits"] {
            let parts = limits.sorted { $0.key < $1.key }.map {
                "\($0.key) \(Self.scalar($0.value))"
            }
            say("limits", parts.joined(separator: ", "))
        }
    }

    // MARK: Attempts

    private mutating func sayAttempt(_ attempt: JSONValue) {
        lines.append("")
        let number = attempt["attempt"]?.int ?? 0
        lines.append("attempt \(number): \(Self.ending(attempt) ?? "?")")
        say("id", attempt["attempt_id"]?.text)
        say("leased", Moment(attempt["leased_at"])?.text)
        say("finished", Moment(attempt["finished_at"])?.text)
        say("charged", Self.charge(attempt))
        guard let report = attempt["report"] else { return }
        say("error", report["error"]?["message"]?.text.map(Terminal.printable))
        say("usage", Self.usage(report))
        if case .object(let evidence)? = report["evidence"] {
            let parts = evidence.sorted { $0.key < $1.key }.map {
                "\($0.key) \(Self.scalar($0.value))"
            }
            say("evidence", parts.joined(separator: ", "))
        }
        say("output", Self.output(report))
        say("artifacts", artifacts(report))
        say("receipt", Self.receipt(report["receipt"]))
    }

    private static func charge(_ attempt: JSONValue) -> String? {
        guard let charged = attempt["charged"] else { return nil }
        var parts = BudgetUnit.allCases.compactMap { unit -> String? in
            guard let count = charged[unit.rawValue]?.int, count > 0 else { return nil }
            return unit == .runs ? nil : "\(unit.name) \(unit.text(count))"
        }
        if charged["runs"]?.int == 1 { parts.append("1 run") }
        if parts.isEmpty { parts = ["nothing"] }
        let source = attempt["charged_from"]?.text.map { " (\($0))" } ?? ""
        return parts.joined(separator: ", ") + source
    }

    private static func usage(_ report: JSONValue) -> String? {
        guard let usage = report["usage"] else { return nil }
        var parts: [String] = []
        if let peak = usage["memory_peak_bytes"]?.int {
            parts.append("peak memory " + ByteSize.text(peak))
        }
        if let peak = usage["pids_peak"]?.int {
            parts.append(peak == 1 ? "1 process" : "\(peak) processes at once")
        }
        if let bytes = usage["workspace_bytes"]?.int {
            parts.append("workspace " + ByteSize.text(bytes))
        }
        return parts.joined(separator: ", ")
    }

    private static func output(_ report: JSONValue) -> String? {
        let usage = report["usage"]
        guard let kept = usage?["output_kept_bytes"]?.int else { return nil }
        let dropped = usage?["output_dropped_bytes"]?.int ?? 0
        return ByteSize.text(kept) + (dropped > 0 ? ", and \(ByteSize.text(dropped)) dropped" : "")
    }

    private func artifacts(_ report: JSONValue) -> String? {
        let kept = report["artifacts"]?.elements ?? []
        let refused = report["artifacts_refused"]?.elements ?? []
        guard !kept.isEmpty || !refused.isEmpty else { return nil }
        let bytes = kept.reduce(0) { $0 + ($1["bytes"]?.int ?? 0) }
        let text = kept.count == 1 ? "1 file" : "\(kept.count) files"
        return text + ", " + ByteSize.text(bytes)
            + (refused.isEmpty ? "" : ", and \(refused.count) not kept")
    }

    private static func receipt(_ receipt: JSONValue?) -> String? {
        guard let receipt, case .bool(let isClean)? = receipt["clean"] else { return nil }
        let problems = (receipt["problems"]?.elements ?? []).compactMap(\.text)
        return isClean
            ? "clean: nothing of it is left on the host"
            : "not clean: " + problems.map(Terminal.printable).joined(separator: "; ")
    }

    // MARK: Words

    /// The verdict with its number, of a task or of an attempt.
    private static func ending(_ json: JSONValue) -> String? {
        guard let verdict = json["verdict"]?.text else { return nil }
        guard verdict == "exit", let code = json["exit_code"]?.int else {
            return verdict + (json["report"]?["signal"]?.int.map { " \($0)" } ?? "")
        }
        return "exit \(code)"
    }

    private static func moment(_ value: JSONValue?) -> String? {
        guard let moment = Moment(value) else { return nil }
        return moment.text + " (\(Span.short(moment.secondsAgo)) ago)"
    }

    private static func scalar(_ value: JSONValue) -> String {
        Terminal.printable(value.text ?? String(decoding: value.bytes, as: UTF8.self))
    }
}
