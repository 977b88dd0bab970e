// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@Suite("A canary's bound", .database, .ownDaemon, .beside)
struct CanaryBoundTests {
    @Test("runs that began before the canary was set do not count, and those after it do")
    func since() throws {
        let database = try TestDatabase()
        let daemon = try TestDaemon(["--database", database.string, "--migrate"])
        defer { daemon.stop() }
        try daemon.api.waitUntilQueueIsReady()
        let failing = Run.shell("exit 3")
        func failed() -> Int {
            let sum = "SELECT coalesce(sum(failed), 0) FROM sandboxd.canary_counts"
            return (try? database.number(sum)) ?? 0
        }
        func tripped() throws -> Int {
            try database.number(
                "SELECT count(*) FROM sandboxd.canaries WHERE tripped_at IS NOT NULL"
            )
        }

        let settings: JSON = ["percent": 100, "bound_percent": 20, "bound_runs": 2]
        try daemon.api.send("PUT", "/v1/canaries/code", settings)
        let early = try LiveRun(
            streaming: daemon.api,
            .shell("read word; exit 3", ["stdin_stream": true])
        )
        try daemon.api.send("PUT", "/v1/canaries/code", settings)
        try early.feed("go\n")
        try early.endInput()
        #expect(try early.report().exitCode == 3)
        #expect(Host.waits(upTo: .seconds(20)) { failed() == 1 })
        // The daemon looks by itself right after it has told; and now it surely has.
        _ = try database.query("SELECT * FROM sandboxd.check_canaries()")
        #expect(try tripped() == 0)

        // Those of the first second may be taken for early ones.
        let isTripped = try Host.waits(upTo: .seconds(20)) {
            _ = try daemon.api.run(failing)
            return try tripped() == 1
        }
        #expect(isTripped)
    }
}
