// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@Suite("Tasks", .daemon, .beside)
struct TaskTests {
    private func api() throws -> API { try Host.daemon() }

    private static var inAnHour: String { Date(timeIntervalSinceNow: 3600).ISO8601Format() }

    @Test("a task is run, and its attempt is kept with report and charge")
    func success() throws {
        let api = try api()
        let id = try api.submit(["sh", "-c", "echo done; echo kept > out/x"])
        let task = try api.task(id, is: endedStates)
        #expect(task["state"]?.text == "succeeded")
        #expect(task["attempts"]?.elements.count == 1)
        let attempt = try #require(task["attempts"]?.elements.first)
        #expect(attempt["verdict"]?.text == "ok")
        #expect(attempt["charged_from"]?.text == "measured")
        #expect(attempt["charged"]?["runs"]?.int == 1)
        #expect((attempt["charged"]?["wall_ms"]?.int ?? 0) > 0)
        let report = try #require(attempt["report"])
        #expect(report["stdout"]?.text == "done\n")
        #expect(report["attempt_id"] == attempt["attempt_id"])
        #expect(report["receipt"]?["clean"]?.bool == true)
        let digest = try #require(report["artifacts"]?.elements.first?["sha256"]?.text)
        #expect(try api.artifact(digest) == Array("kept\n".utf8))
    }

    @Test("a failure of the job's own ends the task; one that is to be retried comes back")
    func retries() throws {
        let api = try api()
        let failed = try api.submit(["sh", "-c", "exit 3"])
        let dead = try api.submit(
            ["sh", "-c", "exit 4"],
            ["retry_on": .array([.string("exit")]), "max_attempts": .number(2)]
        )
        let first = try api.task(failed, is: endedStates)
        #expect(first["state"]?.text == "failed")
        #expect(first["exit_code"]?.int == 3)
        #expect(first["attempts"]?.elements.count == 1)
        let second = try api.task(dead, is: endedStates)
        #expect(second["state"]?.text == "dead")
        #expect(second["attempts"]?.elements.compactMap { $0["attempt"]?.int } == [1, 2])
        #expect(second["attempts"]?.elements.compactMap { $0["fence"]?.int } == [1, 2])
        try api.send("POST", "/v1/tasks/\(dead)/retry")
        let third = try api.task(dead, is: endedStates)
        #expect(third["attempts"]?.elements.compactMap { $0["fence"]?.int } == [1, 2, 3, 4])
    }

    @Test("a key that is known is the first task when both ask for the same, and refused otherwise")
    func keys() throws {
        let api = try api()
        let key: [String: JSON] = ["key": .string(Host.unique("key"))]
        let first = try api.submit(["echo", "once"], key)
        #expect(try api.submit(["echo", "once"], key) == first)
        let other = try api.answer(
            "POST",
            "/v1/tasks",
            body: try JSON.object(
                key.merging(["profile": .string("code"), "argv": .array([.string("true")])]) { $1 }
            ).bytes
        )
        #expect(other.status == 409)
        #expect(try other.json["error"]?["code"]?.text == "key_taken")
    }

    @Test("a direct run of a known key is not run again: the answer is the first one's report")
    func directKey() throws {
        let api = try api()
        let run = Run.shell("date +%s%N", ["key": .string(Host.unique("run"))])
        let first = try api.run(run)
        let second = try api.run(run)
        #expect(first.json["attempt_id"] == second.json["attempt_id"])
        #expect(first.stdout == second.stdout)
    }

    @Test("a task that runs is cancelled, and so is one that waits")
    func cancelling() throws {
        let api = try api()
        let running = try api.submit(["sleep", "60"])
        _ = try api.task(running, is: ["running"])
        try api.send("DELETE", "/v1/tasks/\(running)")
        let ended = try api.task(running, is: endedStates)
        #expect(ended["state"]?.text == "cancelled")
        #expect(ended["attempts"]?.elements.first?["verdict"]?.text == "cancelled")
        let later = try api.submit(["true"], ["run_at": .string(Self.inAnHour)])
        #expect(try api.state(later) == "delayed")
        try api.send("DELETE", "/v1/tasks/\(later)")
        #expect(try api.state(later) == "cancelled")
    }

    @Test("what a budget cannot pay waits, and runs when it can")
    func holding() throws {
        let api = try api()
        let budget = try api.makeBudget(["runs_cap": .number(2)])
        let payer: [String: JSON] = ["budget": .string(budget)]
        let tasks = try (0..<4).map { _ in try api.submit(["true"], payer) }
        for id in tasks[..<2] { _ = try api.task(id, is: ["succeeded"]) }
        #expect(try api.state(tasks[2]) == "ready")
        #expect(try api.budget(budget, "runs", "used") == 2)
        #expect(try api.budget(budget, "runs", "reserved") == 0)
        try api.send("PUT", "/v1/budgets/" + budget, .object(["runs_cap": .number(10)]))
        for id in tasks { _ = try api.task(id, is: ["succeeded"]) }
        #expect(try api.budget(budget, "runs", "used") == 4)
    }

    @Test("what a budget that rejects cannot pay ends")
    func rejecting() throws {
        let api = try api()
        let budget = try api.makeBudget([
            "runs_cap": .number(1), "on_exhausted": .string("reject"),
        ])
        let payer: [String: JSON] = ["budget": .string(budget)]
        let tasks = try (0..<3).map { _ in try api.submit(["true"], payer) }
        let states = try tasks.map { try api.task($0, is: endedStates)["state"]?.text }
        #expect(states == ["succeeded", "rejected", "rejected"])
    }

    @Test("a direct run is charged, and refused when its budget cannot pay")
    func directBudget() throws {
        let api = try api()
        let budget = try api.makeBudget(["runs_cap": .number(1), "price_run": .number(7)])
        let run = Run(["true"], ["budget": .string(budget)])
        #expect(try api.run(run).verdict == "ok")
        #expect(try api.budget(budget, "runs", "used") == 1)
        #expect(try api.budget(budget, "money_nanos", "used") == 7)
        #expect(try api.budget(budget, "cpu_ms", "reserved") == 0)
        let refused = try api.post(try run.json.bytes)
        #expect(refused.status == 429)
        #expect(refused.head.headers["retry-after"] != nil)
        #expect(try refused.json["error"]?["code"]?.text == "budget")
        #expect(try refused.json["error"]?["message"]?.text?.contains(budget) == true)
    }

    @Test("inputs larger than a spec, and bytes that no text is, arrive whole")
    func largeInputs() throws {
        let api = try api()
        let bytes = [UInt8]((0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 7) })
        let id = try api.submit(
            ["sh", "-c", "sha256sum < in/data; sha256sum"],
            [
                "files": .array([
                    .object([
                        "path": .string("in/data"),
                        "base64": .string(Data(bytes).base64EncodedString()),
                    ])
                ]),
                "stdin": .string("a\u{0}b"),
            ]
        )
        let task = try api.task(id, is: endedStates)
        #expect(task["state"]?.text == "succeeded", "\(task)")
        let sums = try Program.run(["sh", "-c", "printf 'a\\0b' | sha256sum"]).text
        let out = try #require(task["attempts"]?.elements.first?["report"]?["stdout"]?.text)
        #expect(out.hasSuffix(sums))
        #expect(task["spec"]?["files"]?.elements.first?["sha256"]?.text == String(out.prefix(64)))
    }

    @Test("many small inputs are more than a spec holds, and arrive all the same")
    func manyInputs() throws {
        let api = try api()
        let files = (0..<40).map { number in
            JSON.object([
                "path": .string("in/\(number)"),
                "text": .string(String(repeating: "x", count: 4000)),
            ])
        }
        let id = try api.submit(["sh", "-c", "cat in/* | wc -c"], ["files": .array(files)])
        let ended = try api.task(id, is: endedStates)
        let report = ended["attempts"]?.elements.first?["report"]
        #expect(report?["stdout"]?.text == "160000\n", "\(ended)")
    }

    @Test("an input that was put there before is named by its digest; one that was not is refused")
    func blobs() throws {
        let api = try api()
        let text = Host.unique("blob")
        let put = try api.answer("PUT", "/v1/blobs", body: Array(text.utf8))
        let digest = try #require(try put.json["sha256"]?.text)
        func task(_ digest: String) -> [String: JSON] {
            let file: JSON = .object(["path": .string("x"), "sha256": .string(digest)])
            return ["files": .array([file]), "stdin_sha256": .string(digest)]
        }
        let id = try api.submit(["sh", "-c", "cat x -"], task(digest))
        let ended = try api.task(id, is: endedStates)
        #expect(ended["attempts"]?.elements.first?["report"]?["stdout"]?.text == text + text)
        var missing = task(String(repeating: "0", count: 64))
        missing["profile"] = .string("code")
        missing["argv"] = .array([.string("true")])
        let refused = try api.answer("POST", "/v1/tasks", body: try JSON.object(missing).bytes)
        #expect(refused.status == 400)
        #expect(try refused.json["error"]?["message"]?.text?.contains("no blob") == true)
    }

    @Test("a drained node takes no task, and takes them again")
    func draining() throws {
        let daemon = try TestDaemon(["--database", try TestDatabase().string])
        defer { daemon.stop() }
        try daemon.api.waitUntilQueueIsReady()
        try daemon.api.send("POST", "/v1/drain", .object(["draining": .bool(true)]))
        let id = try daemon.api.submit(["true"])
        #expect(try daemon.api.run(Run(["true"])).verdict == "ok")
        #expect(try daemon.api.state(id) == "ready")
        try daemon.api.send("POST", "/v1/drain", .object(["draining": .bool(false)]))
        _ = try daemon.api.task(id, is: ["succeeded"])
    }

    struct Refusal: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let body: String
        var status = 400
        let says: String
    }

    static let refusals: [Refusal] = [
        Refusal(testDescription: "no JSON", body: "{", says: "not JSON"),
        Refusal(testDescription: "a list", body: "[]", says: "object"),
        Refusal(testDescription: "no profile", body: "{\"argv\":[\"x\"]}", says: "'profile'"),
        Refusal(
            testDescription: "an unknown profile",
            body: "{\"profile\":\"no'; DROP TABLE x\",\"argv\":[\"x\"]}",
            status: 404,
            says: "no profile"
        ),
        Refusal(
            testDescription: "an empty argv",
            body: "{\"profile\":\"code\",\"argv\":[]}",
            says: "'argv' is empty"
        ),
        Refusal(
            testDescription: "argv of numbers",
            body: "{\"profile\":\"code\",\"argv\":[1]}",
            says: "argv"
        ),
        Refusal(
            testDescription: "an unknown key",
            body: "{\"profile\":\"code\",\"argv\":[\"x\"],\"nice\":1}",
            says: "'nice'"
        ),
        Refusal(
            testDescription: "a limit above the profile's",
            body: "{\"profile\":\"code\",\"argv\":[\"x\"],\"limits\":{\"pids\":99999}}",
            says: "pids"
        ),
        Refusal(
            testDescription: "an absurd priority",
            body: "{\"profile\":\"code\",\"argv\":[\"x\"],\"priority\":1e30}",
            says: "'priority'"
        ),
        Refusal(
            testDescription: "a time that is none",
            body: "{\"profile\":\"code\",\"argv\":[\"x\"],\"run_at\":\"soon\"}",
            says: "'run_at'"
        ),
        Refusal(
            testDescription: "a key beyond its length",
            body: "{\"profile\":\"code\",\"argv\":[\"x\"],\"key\":\""
                + String(repeating: "k", count: 201) + "\"}",
            says: "'key'"
        ),
        Refusal(
            testDescription: "a budget that is not there",
            body: "{\"profile\":\"code\",\"argv\":[\"x\"],\"budget\":\"nobody's\"}",
            status: 404,
            says: "no budget"
        ),
        Refusal(
            testDescription: "an input beside its digest",
            body: "{\"profile\":\"code\",\"argv\":[\"x\"],\"stdin\":\"a\",\"stdin_sha256\":\""
                + String(repeating: "0", count: 64) + "\"}",
            says: "stands alone"
        ),
        Refusal(
            testDescription: "a file's content beside its digest",
            body: "{\"profile\":\"code\",\"argv\":[\"x\"],\"files\":[{\"path\":\"a\","
                + "\"text\":\"b\",\"sha256\":\"" + String(repeating: "0", count: 64) + "\"}]}",
            says: "one of 'text', 'base64' and 'sha256'"
        ),
        Refusal(
            testDescription: "streamed input",
            body: "{\"profile\":\"code\",\"argv\":[\"x\"],\"stdin_stream\":true}",
            says: "stdin_stream"
        ),
        Refusal(
            testDescription: "a million tasks",
            body: "{\"tasks\":["
                + [String](repeating: "{\"profile\":\"code\",\"argv\":[\"x\"]}", count: 10_001)
                .joined(separator: ",") + "]}",
            says: "10000 fit"
        ),
    ]

    @Test("what makes no sense is refused at once, by name", arguments: refusals)
    func refusing(_ refusal: Refusal) throws {
        let answer = try api().answer("POST", "/v1/tasks", body: Array(refusal.body.utf8))
        #expect(answer.status == refusal.status, "\(answer.text)")
        let message = try answer.json["error"]?["message"]?.text ?? ""
        #expect(message.contains(refusal.says), "\(message)")
    }
}
