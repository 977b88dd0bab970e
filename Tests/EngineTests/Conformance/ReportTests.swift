// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@Suite("The report of a run", .daemon, .beside)
struct ReportTests {
    private static let keys: Set = [
        "attempt_id", "profile", "engine", "image_digest", "verdict", "exit_code", "signal",
        "evidence", "usage", "timing", "receipt", "artifacts", "artifacts_refused", "network",
        "stdout",
        "stdout_encoding", "stdout_truncated", "stderr", "stderr_encoding", "stderr_truncated",
        "stdout_bytes", "stdout_sha256", "stderr_bytes", "stderr_sha256", "calls",
        "calls_unrecorded",
    ]
    private static let usageKeys: Set = [
        "cpu_ms", "cpu_user_ms", "cpu_system_ms", "memory_peak_bytes", "pids_peak", "wall_ms",
        "output_kept_bytes", "output_dropped_bytes", "workspace_bytes", "workspace_inodes",
        "egress_bytes",
    ]
    private static let receiptKeys = Set([
        "clean", "init_dead", "processes_left", "cgroup_removed", "namespaces_released", "problems",
    ]).union(Host.engineSocket == nil ? [] : ["container_removed"])

    @Test(
        "every key is there, whatever became of the run",
        arguments: [
            Run(["true"]), Run(["no-such-program"]), .shell("kill -9 $$"),
            Run(["sleep", "9"]).limited(["wall_time_ms": 100]),
        ]
    )
    func keys(run: Run) throws {
        let report = try Host.daemon().run(run)
        #expect(report.json.keys == Self.keys)
        #expect(report.json["usage"]?.keys == Self.usageKeys)
        #expect(report.json["timing"]?.keys == ["setup", "run", "teardown", "total"])
        #expect(report.json["receipt"]?.keys == Self.receiptKeys)
        #expect(report.json["engine"]?.text == Host.engine ?? "native")
        #expect(report.json["image_digest"]?.text?.hasPrefix("sha256") == true)
        #expect(report.attempt.count == 32)
    }

    @Test("attempt ids are distinct and sort by age")
    func attempts() throws {
        let api = try Host.daemon()
        let ids = try (0..<5).map { _ in try api.run(Run(["true"])).attempt }
        #expect(ids == Set(ids).sorted())
    }

    @Test("the receipt says of each thing that it is gone")
    func receipt() throws {
        let receipt = try #require(try Host.daemon().run(.shell("sleep 9 & true")).json["receipt"])
        #expect(receipt["clean"]?.bool == true)
        #expect(receipt["init_dead"]?.bool == true)
        #expect(receipt["processes_left"]?.int == 0)
        #expect(receipt["cgroup_removed"]?.bool == true)
        #expect(receipt["namespaces_released"]?.bool == true)
        #expect(receipt["container_removed"]?.bool == (Host.engineSocket == nil ? nil : true))
        #expect(receipt["problems"]?.elements == [])
    }

    @Test("processor time is charged: half a second of it, a grandchild's included")
    func processorTime() throws {
        let burn = "import time\nwhile time.process_time() < 0.25: pass"
        let report = try Host.daemon().run(.shell("python3 -c '\(burn)'; (python3 -c '\(burn)')"))
        let charged = try #require(report.usage("cpu_ms"))
        #expect(charged >= 500 && charged < Double(1500 * Host.slowness))
        let parts = (report.usage("cpu_user_ms") ?? 0) + (report.usage("cpu_system_ms") ?? 0)
        #expect(abs(parts - charged) < 1)
        #expect(try #require(report.usage("wall_ms")) >= 400)
    }

    @Test("the peak of memory is what was touched, and not the whole cap")
    func memory() throws {
        let report = try Host.daemon().run(.python("b = b'x' * (100 << 20)"))
        let peak = try #require(report.usage("memory_peak_bytes"))
        #expect(peak > Double(100 << 20) && peak < Double(200 << 20), "\(peak)")
    }

    @Test("the workspace's bytes and inodes are counted at the end")
    func workspace() throws {
        let report = try Host.daemon().run(
            .shell("head -c 1000000 /dev/zero > a; touch b c; head -c 9000000 /dev/zero > d; rm d")
        )
        let bytes = try #require(report.usage("workspace_bytes"))
        #expect(bytes >= 1_000_000 && bytes < 1_100_000)
        // a, b, c; the workspace itself, out and .tmp.
        #expect(report.usage("workspace_inodes") == 6)
    }

    @Test("the peak of processes is what was alive at once")
    func processes() throws {
        let report = try Host.daemon().run(
            .shell(#"for i in 1 2 3 4 5 6 7; do sleep 60 & p="$p $!"; done; kill $p; wait; true"#)
        )
        guard let peak = report.usage("pids_peak") else { return }  // Not on every kernel.
        #expect(peak >= 8 && peak <= 12, "\(peak)")
    }

    @Test("setup, run and teardown add up to the total")
    func timing() throws {
        let report = try Host.daemon().run(Run(["sleep", "0.2"]))
        let sum = report.timing("setup") + report.timing("run") + report.timing("teardown")
        #expect(abs(sum - report.timing("total")) < 1)
        #expect(report.timing("run") >= 200)
        #expect(report.timing("setup") > 0 && report.timing("teardown") > 0)
    }
}
