// SPDX-License-Identifier: Apache-2.0
internal import Client
internal import JSON

/// One task as `GET /v1/tasks/{id}` tells it.
struct TaskRecord {
    let json: JSONValue

    init(_ daemon: DaemonAPI, _ id: Int) throws(ClientError) {
        json = try daemon.value("GET", "/v1/tasks/\(id)")
    }

    var id: Int { json["task_id"]?.int ?? 0 }
    var state: String { json["state"]?.text ?? "unknown" }
    var hasEnded: Bool { Self.isEnd(state) }
    var attempts: [JSONValue] { json["attempts"]?.elements ?? [] }

    /// The last attempt that was not given back; nil when there is none.
    var lastAttempt: JSONValue? { attempts.last { $0["verdict"]?.text != "snoozed" } }

    /// The last attempt's report; nil when it left none.
    var report: JSONValue? {
        guard let report = lastAttempt?["report"], case .object = report else { return nil }
        return report
    }

    /// Names the last attempt; empty when there is none.
    var lastAttemptID: String { lastAttempt?["attempt_id"]?.text ?? "" }

    /// What the last attempt wrote; nil when it left nothing.
    var output: KeptOutput? { report.flatMap(KeptOutput.init) }

    /// Whether nothing more comes after this state.
    static func isEnd(_ state: String) -> Bool {
        !["ready", "delayed", "awaiting_approval", "running"].contains(state)
    }

    /// Waits until the task has ended; what it writes meanwhile goes to `printer`.
    static func follow(
        _ id: Int,
        _ daemon: DaemonAPI,
        printer: inout LivePrinter
    ) throws(ClientError) {
        do throws(ClientError) {
            // The daemon lets nobody follow for longer than a day; then it is asked again.
            while true {
                let path = "/v1/tasks/\(id)/events" + (printer.isLive ? "?output=true" : "")
                var lines = ResponseLines(try daemon.answer("GET", path))
                while let line = try lines.next() {
                    guard let event = JSONParser.parse(line) else { throw .notHTTP }
                    if event["event"] != nil {
                        printer.print(event)
                        continue
                    }
                    guard let state = event["state"]?.text else { throw .notHTTP }
                    if isEnd(state) { return }
                }
            }
        } catch .ended {
            throw .unfollowed(task: id)
        } catch .lost {
            throw .unfollowed(task: id)
        }
    }

    /// Why there is no output, though somebody asked for it.
    var silence: String {
        guard let attempt = lastAttempt else {
            return hasEnded
                ? "task \(id) never ran: it is \(state)"
                : "task \(id) has not run yet: it is \(state) (-f waits for its end)"
        }
        let why = attempt["report"]?["error"]?["message"]?.text.map { ": " + $0 } ?? ""
        return "task \(id) is \(state), and its last attempt left no output "
            + "(\(attempt["verdict"]?.text ?? "?"))" + Terminal.printable(why)
    }
}
