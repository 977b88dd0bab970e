// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@Suite("The API's description", .daemon, .ownDaemon, .beside)
struct OpenAPITests {
    private static let document = Result { try OpenAPI(yaml: Host.file("../docs/openapi.yaml")) }

    /// Holds an answer against what is written of it.
    private func check(
        _ answer: HTTPAnswer,
        _ method: String,
        _ path: String,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> OpenAPI.Operation {
        let document = try Self.document.get()
        let operation = OpenAPI.Operation(
            method: method,
            path: path,
            status: String(answer.status)
        )
        let response = try #require(
            document.response(operation),
            "\(operation) is not documented: \(answer.text)",
            sourceLocation: sourceLocation
        )
        let type = answer.head.headers["content-type"] ?? "none"
        let content = try #require(
            response["content"]?[type],
            "\(type) is not documented",
            sourceLocation: sourceLocation
        )
        let headers = response["headers"]
        for name in headers?.keys ?? [] where headers?[name]?["required"]?.text == "true" {
            #expect(answer.head.headers[name.lowercased()] != nil, sourceLocation: sourceLocation)
        }
        guard let schema = content["schema"] else { return operation }
        let lines = type.hasSuffix("ndjson") ? answer.body.split(separator: 10) : [answer.body[...]]
        for line in lines {
            let problems = document.problems(try JSON(Array(line)), schema)
            #expect(problems.isEmpty, "\(operation): \(problems)", sourceLocation: sourceLocation)
        }
        return operation
    }

    @Test("every documented answer is given as documented, and there is no other")
    func answers() throws {
        let api = try Host.daemon()
        let small = try TestDaemon(["--memory", "40", "--images", "/no/such/images"])
        let full = try TestDaemon(["--memory", "40"])
        let run = Run(["true"]).limited(["memory_bytes": 33_554_432])
        let holder = try full.api.start(
            .shell("echo up; sleep 60").limited(["memory_bytes": 33_554_432])
        )
        try holder.waits(for: "up")
        let kept = try api.run(.shell("echo x > out/x"))
        let digest = try #require(kept.artifacts.values.first?["sha256"]?.text)
        let json = ["Accept": "application/json"]
        let rows: [(API, String, String, String, [String: String], [UInt8]?)] = [
            (api, "get", "/healthz", "/healthz", [:], nil),
            (api, "get", "/v1/profiles", "/v1/profiles", [:], nil),
            (api, "get", "/v1/status", "/v1/status", [:], nil),
            (api, "get", "/v1/leaks", "/v1/leaks", [:], nil),
            (api, "get", "/v1/artifacts/{sha256}", "/v1/artifacts/" + digest, [:], nil),
            (api, "get", "/v1/artifacts/{sha256}", "/v1/artifacts/none", [:], nil),
            (api, "post", "/v1/runs", "/v1/runs", json, try run.json.bytes),
            (
                api, "post", "/v1/runs", "/v1/runs", [:],
                try Run.shell("echo a; echo b >&2").json.bytes
            ),
            (api, "post", "/v1/runs", "/v1/runs", json, try Run(["no-such"]).json.bytes),
            (api, "post", "/v1/runs", "/v1/runs", json, Array("{}".utf8)),
            (
                api, "post", "/v1/runs", "/v1/runs", json,
                try run.limited(["pids": 999_999]).json.bytes
            ),
            (api, "post", "/v1/runs", "/v1/runs", json, try Run(["true"], profile: "x").json.bytes),
            (api, "post", "/v1/runs", "/v1/runs", json, [UInt8](repeating: 32, count: 130 << 20)),
            (full.api, "post", "/v1/runs", "/v1/runs", json, try run.json.bytes),
            (full.api, "post", "/v1/runs", "/v1/runs", json, try Run(["true"]).json.bytes),
            (small.api, "post", "/v1/runs", "/v1/runs", json, try run.json.bytes),
        ]
        let queueRows =
            try queueRows(api, without: small.api) + canaryRows(api) + approvalRows(api)
        var seen: Set<OpenAPI.Operation> = []
        for (api, method, documented, path, headers, body) in rows + queueRows {
            let answer = try api.answer(method.uppercased(), path, headers: headers, body: body)
            seen.insert(try check(answer, method, documented))
        }
        #expect(seen == (try Self.document.get()).operations)
        holder.cancel()
        full.stop()
        small.stop()
    }

    /// The same for tasks and budgets.
    private func queueRows(
        _ api: API,
        without: API
    ) throws -> [(API, String, String, String, [String: String], [UInt8]?)] {
        let name = Host.unique("openapi")
        let key = "\"key\":\"\(name)\""
        func task(_ argument: String, _ more: String = "") -> [UInt8] {
            Array("{\"profile\":\"code\",\"argv\":[\"\(argument)\"]\(more)}".utf8)
        }
        let json = ["Accept": "application/json"]
        let made = try api.answer("POST", "/v1/tasks", body: task("true", "," + key))
        let id = try #require(try made.json["task_id"]?.int)
        let (tasks, one) = ("/v1/tasks", "/v1/tasks/\(id)")
        let budget = "/v1/budgets/" + name
        return [
            (api, "post", tasks, tasks, [:], task("true")),
            (api, "post", tasks, tasks, [:], Array("{\"tasks\":[]}".utf8)),
            (api, "post", tasks, tasks, [:], task("true", ",\"budget\":\"no such\"")),
            (api, "post", tasks, tasks, [:], task("false", "," + key)),
            (without, "post", tasks, tasks, [:], task("true")),
            (api, "get", tasks, tasks + "?limit=2", [:], nil),
            (api, "get", tasks, tasks + "?state=asleep", [:], nil),
            (api, "get", "/v1/tasks/{id}", one, [:], nil),
            (api, "get", "/v1/tasks/{id}", tasks + "/999999999", [:], nil),
            (api, "get", "/v1/tasks/{id}/events", one + "/events", [:], nil),
            (api, "get", "/v1/tasks/{id}/events", tasks + "/999999999/events", [:], nil),
            (api, "post", "/v1/tasks/{id}/retry", one + "/retry", [:], nil),
            (api, "post", "/v1/tasks/{id}/retry", tasks + "/999999999/retry", [:], nil),
            (api, "delete", "/v1/tasks/{id}", one, [:], nil),
            (api, "delete", "/v1/tasks/{id}", tasks + "/none", [:], nil),
            (api, "post", "/v1/runs", "/v1/runs", json, task("false", "," + key)),
            (api, "put", "/v1/blobs", "/v1/blobs", [:], Array("kept".utf8)),
            (api, "get", "/v1/budgets", "/v1/budgets", [:], nil),
            (api, "get", "/v1/budgets/{name}", budget, [:], nil),
            (
                api, "put", "/v1/budgets/{name}", budget, [:],
                Array("{\"runs_cap\":0,\"period\":\"day\"}".utf8)
            ),
            (api, "get", "/v1/budgets/{name}", budget, [:], nil),
            (api, "put", "/v1/budgets/{name}", budget, [:], Array("{\"runs_cap\":-1}".utf8)),
            (api, "post", tasks, tasks, [:], task("true", ",\"budget\":\"\(name)\"")),
            (api, "get", "/v1/attempts/{id}", "/v1/attempts/" + (try attempt(api)), [:], nil),
            (api, "get", "/v1/attempts/{id}", "/v1/attempts/none", [:], nil),
            (api, "post", "/v1/drain", "/v1/drain", [:], Array("{\"draining\":false}".utf8)),
            (api, "post", "/v1/drain", "/v1/drain", [:], Array("{}".utf8)),
        ]
    }

    /// The id of an attempt that has ended.
    private func attempt(_ api: API) throws -> String {
        try #require(try api.run(Run(["true"])).json["attempt_id"]?.text)
    }

    /// The same for approvals, by a budget that wants one for everything.
    private func approvalRows(
        _ api: API
    ) throws -> [(API, String, String, String, [String: String], [UInt8]?)] {
        let name = Host.unique("approval")
        _ = try api.answer(
            "PUT",
            "/v1/budgets/" + name,
            body: Array("{\"approval\":\"required\"}".utf8)
        )
        let task = Array("{\"profile\":\"code\",\"argv\":[\"true\"],\"budget\":\"\(name)\"}".utf8)
        var rows: [(API, String, String, String, [String: String], [UInt8]?)] = [
            (api, "post", "/v1/runs", "/v1/runs", ["Accept": "application/json"], task)
        ]
        for word in ["approve", "deny"] {
            let id = try #require(
                try api.answer("POST", "/v1/tasks", body: task).json["task_id"]?.int
            )
            let waiting = try api.answer("GET", "/v1/approvals").json["approvals"]?.elements ?? []
            let mine = try #require(waiting.first { $0["task_id"]?.int == id })
            let digest = try #require(mine["digest"]?.text)
            let body = Array("{\"digest\":\"\(digest)\",\"by\":\"ann\"}".utf8)
            let (one, path) = ("/v1/tasks/{id}/" + word, "/v1/tasks/\(id)/" + word)
            rows += [
                (api, "get", "/v1/approvals", "/v1/approvals", [:], nil),
                (api, "post", one, path, [:], Array("{\"digest\":\"\(digest)\"}".utf8)),
                (api, "post", one, "/v1/tasks/999999999/" + word, [:], body),
                (api, "post", one, path, [:], body),
                (api, "post", one, path, [:], body),
            ]
        }
        return rows
    }

    /// The same for canaries. All tasks of the profile go on going to sandboxes.
    private func canaryRows(
        _ api: API
    ) throws -> [(API, String, String, String, [String: String], [UInt8]?)] {
        let (one, shell, none) = ("/v1/canaries/{profile}", "/v1/canaries/shell", "/v1/canaries/no")
        let comparison = """
            {"profile":"shell","counted":{"status":0,"wall_ms":1},"shadow":{"status":1,"wall_ms":2},
            "counted_place":"on the host","shadow_place":"in the sandbox","differences":["exit"]}
            """
        let comparisons = "/v1/comparisons"
        return [
            (api, "put", one, shell, [:], Array("{\"percent\":\"100\"}".utf8)),
            (api, "put", one, shell, [:], Array("{\"percent\":\"101\"}".utf8)),
            (api, "put", one, none, [:], Array("{\"percent\":\"1\"}".utf8)),
            (api, "get", one, shell, [:], nil),
            (api, "get", one, none, [:], nil),
            (api, "get", "/v1/canaries", "/v1/canaries", [:], nil),
            (api, "post", comparisons, comparisons, [:], Array(comparison.utf8)),
            (api, "post", comparisons, comparisons, [:], Array("{}".utf8)),
            (
                api, "post", comparisons, comparisons, [:],
                Array(comparison.replacing("shell", with: "nosuch").utf8)
            ),
            (api, "get", one + "/report", shell + "/report", [:], nil),
            (api, "get", one + "/report", shell + "/report?hours=-1", [:], nil),
            (api, "get", one + "/report", none + "/report", [:], nil),
        ]
    }

    @Test(
        "a path that is not documented is 404, in the API's words",
        arguments: [
            "/", "/v1", "/v1/", "/v1/run", "/v2/runs", "/metrics", "/v1/artifacts", "/v1/runs/x",
        ]
    )
    func unknown(path: String) throws {
        let answer = try Host.daemon().answer("GET", path)
        #expect(answer.status == 404)
        let error = try #require(try Self.document.get().schema(named: "Error"))
        #expect(try Self.document.get().problems(answer.json, error).isEmpty)
        #expect(try answer.json["error"]?["code"]?.text == "no_route")
    }

    @Test("a method that is not documented is refused")
    func methods() throws {
        for (method, path) in [("GET", "/v1/runs"), ("POST", "/v1/status"), ("DELETE", "/healthz")]
        {
            let status = try Host.daemon().answer(method, path).status
            #expect(status == 404 || status == 405, "\(method) \(path) is \(status)")
        }
    }

    @Test("the keys of a request are the documented ones: each is taken, and no other")
    func requestKeys() throws {
        let document = try Self.document.get()
        let answer = try Host.daemon().post(Array("{\"no such key\":1}".utf8))
        let message = try #require(try answer.json["error"]?["message"]?.text)
        let known = message.split(separator: "known: ").last?.prefix { $0 != ")" } ?? ""
        let keys = Set(known.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) })
        #expect(keys == document.schema(named: "RunRequest")?["properties"]?.keys)
        let limits = try Host.daemon().post(
            Array("{\"profile\":\"code\",\"argv\":[\"x\"],\"limits\":{\"no such\":1}}".utf8)
        )
        let words = try #require(try limits.json["error"]?["message"]?.text)
        let names = words.split(separator: "known: ").last?.prefix { $0 != ")" } ?? ""
        let limitKeys = Set(
            names.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
        )
        #expect(limitKeys == document.schema(named: "RequestLimits")?["properties"]?.keys)
    }
}
