// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// An operator's way from his host to sandboxes, as the README tells it.
@Suite("A worker that moves over", .database, .ownDaemon, .beside)
struct MigrationWalkTests {
    /// What every task does: it is well in an image that says "good".
    private static let script = "read word < /etc/word; echo $word; test $word = good"
    /// Of "good\n".
    private static let outputDigest =
        "106675dc1490d5cdd6d1f0410731316ce93fc964c6cf6726e2b0d53e19688feb"

    private let database: TestDatabase
    private let images: TestImages

    init() throws {
        database = try TestDatabase()
        images = try TestImages(
            health: #"["true"]"#,
            options: ["--database", database.string, "--migrate"]
        )
    }

    private func sandboxd(_ arguments: [String]) throws -> Program.Ending {
        let program = try Installation.shared.get().program("sandboxd")
        let ending = try Program.run(
            [program] + arguments,
            environment: ["SANDBOXD_SOCKET": images.daemon.socket]
        )
        try #require(ending.exitCode == 0, "\(arguments): \(ending.errorText)")
        return ending
    }

    private func canary(_ arguments: String...) throws {
        _ = try sandboxd(["canary", "set", TestImages.name] + arguments)
    }

    private func report() throws -> JSON {
        try JSON(try sandboxd(["canary", "report", TestImages.name, "--json"]).stdout)
    }

    /// Queues tasks, has the operator's own worker do what is the host's, and waits until all have
    /// ended. Answers how many the sandbox had.
    private func round(_ name: String, tasks count: Int) throws -> Int {
        let lines = (0..<count).map { number in
            let spec: JSON = .object([
                "profile": .string(TestImages.name), "key": .string("\(name)-\(number)"),
                "max_attempts": 1, "argv": ["sh", "-c", .string(Self.script)],
            ])
            return String(decoding: (try? spec.bytes) ?? [], as: UTF8.self)
        }
        let body = "{\"tasks\":[" + lines.joined(separator: ",") + "]}"
        let answer = try images.daemon.api.answer("POST", "/v1/tasks", body: Array(body.utf8))
        try #require(answer.status == 202, "\(answer.text)")
        let ended = Host.waits(upTo: .seconds(60)) {
            (try? workOnHost()) != nil
                && (try? database.number(
                    "SELECT count(*) FROM sandboxd.tasks WHERE state = 0"
                )) == 0
        }
        let queue = try database.query("SELECT status, pool, verdict FROM sandboxd.task_queue")
        #expect(ended, "\(queue)")
        return try database.number(
            """
            SELECT count(*) FROM sandboxd.task_queue q JOIN sandboxd.task_keys k ON k.task_id = q.id
            WHERE q.pool = 'sandbox' AND k.key LIKE '\(name)-%'
            """
        )
    }

    /// What the operator's worker does: it leases, works, and says what came of it.
    private func workOnHost() throws {
        try database.query(
            """
            SELECT sandboxd.complete(array_agg(l.task_id), array_agg(l.fence), array_agg('ok'::text),
                array_agg(0), array_agg(1::bigint), array_agg(1::bigint), array_agg(5::bigint),
                array_agg(0::bigint), array_agg('{"stdout_bytes": 5, "artifacts": [],
                    "stdout_sha256": "\(Self.outputDigest)"}'::text))
            FROM sandboxd.lease(sandboxd.register_worker('old-worker', 60, 'host'), 1000) AS l
            HAVING count(*) > 0
            """
        )
    }

    @Test(
        "host only, a shadow, 10 %, 50 %, a broken image that rolls back by itself, 100 %, and back"
    )
    func walk() throws {
        defer { images.stop() }
        let good = try images.importing("good")

        try canary("0")
        #expect(try round("only", tasks: 30) == 0)
        #expect(try report()["tasks"]?["host"] == 30)

        try canary("0", "--shadow", "on")
        #expect(try round("shadow", tasks: 30) == 0)
        let areCompared = Host.waits(upTo: .seconds(20)) { (try? report()["compared"]) == 30 }
        let shadowed = try report()
        let left = try database.query("SELECT * FROM sandboxd.task_shadows")
        #expect(areCompared, "\(shadowed), left: \(left)")
        #expect(shadowed["agreed"] == 30 && shadowed["differing"] == [])
        // What shadows cost is no budget's of the tasks.
        let paid = try database.number(
            "SELECT runs_used FROM sandboxd.budgets WHERE budget = 'shadow'"
        )
        #expect(paid == 30)

        try canary("10", "--shadow", "off", "--bound", "20", "--bound-runs", "10")
        let tenth = try round("tenth", tasks: 100)
        #expect((2...25).contains(tenth), "\(tenth)")
        try canary("50")
        let half = try round("half", tasks: 100)
        #expect((30...70).contains(half), "\(half)")
        #expect(try images.daemon.api.status()["canaries_tripped"] == [])

        // An image that stands its trial, and does not do.
        try images.importing("bad")
        try images.done("activate", TestImages.name)
        _ = try round("broken", tasks: 60)
        let isBack = Host.waits(upTo: .seconds(20)) {
            (try? report()["canary"]?["percent"]) == "0.00"
        }
        #expect(isBack)
        let isTold = Host.waits(upTo: .seconds(20)) {
            (try? images.daemon.api.status()["canaries_tripped"]?.elements.isEmpty) == false
                && images.daemon.log.contains("the canary of 'probe' is 0 now")
        }
        try #require(isTold, "\(images.daemon.log)")
        let tripped = try images.daemon.api.status()["canaries_tripped"]?.elements.first
        #expect(tripped?["why"]?.text?.contains("in the sandbox failed (exit ") == true)
        let prose = try sandboxd(["canary", "report", TestImages.name]).text
        #expect(prose.contains("ROLLED BACK BY ITSELF"), "\(prose)")
        // What comes now is the host's.
        #expect(try round("after", tasks: 20) == 0)

        try images.done("rollback", TestImages.name)
        #expect(try images.run().json["image_digest"]?.text == good)
        try canary("100")
        let isForgotten = Host.waits(upTo: .seconds(20)) {
            (try? images.daemon.api.status()["canaries_tripped"]) == []
        }
        #expect(isForgotten)
        #expect(try round("all", tasks: 30) == 30)
        let verdicts = try database.query(
            """
            SELECT DISTINCT verdict FROM sandboxd.tasks t JOIN sandboxd.task_keys k USING (task_id)
            WHERE k.key LIKE 'all-%'
            """
        )
        #expect(verdicts == ["ok"])

        try canary("0")
        #expect(try round("back", tasks: 20) == 0)
    }
}
