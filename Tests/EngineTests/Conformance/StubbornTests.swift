// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// A job that does not want to end.
struct Stubborn: Sendable, CustomTestStringConvertible {
    let fact: String
    let script: String
    /// The verdicts that may be.
    let verdicts: Set<String>
    var limits: [String: JSON] = ["wall_time_ms": 700]
    /// From the request to the answer, in milliseconds.
    var within = 5000

    var testDescription: String { fact }

    private static let doubleFork = """
        python3 - <<'END'
        import os, time
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                for n in range(3): os.close(n)
                time.sleep(60)
            os._exit(0)
        os.wait()
        END
        """

    static let all: [Stubborn] = [
        Stubborn(
            fact: "it ignores SIGTERM, SIGINT and SIGHUP",
            script: "trap '' TERM INT HUP; while :; do sleep 1; done",
            verdicts: ["wall_time"]
        ),
        Stubborn(
            fact: "it double-forks into a session of its own and exits",
            script: doubleFork,
            verdicts: ["ok"],
            limits: [:],
            within: 4000
        ),
        Stubborn(fact: "it stops itself", script: "kill -STOP $$", verdicts: ["wall_time"]),
        Stubborn(
            fact: "it stops every process it can reach",
            script: "sleep 60 & kill -STOP -1; wait",
            verdicts: ["wall_time"]
        ),
        Stubborn(
            fact: "a grandchild holds its output open",
            script: "(sleep 60 &) ; echo done",
            verdicts: ["ok"],
            limits: [:],
            within: 4000
        ),
        Stubborn(
            fact: "a grandchild holds only standard error open",
            script: "(sleep 60 > /dev/null &) ; exit 3",
            verdicts: ["exit"],
            limits: [:],
            within: 4000
        ),
        Stubborn(
            fact: "it closes all its streams and sleeps",
            script: "exec <&- >&- 2>&-; sleep 60",
            verdicts: ["wall_time"]
        ),
        Stubborn(
            fact: "it fills the workspace and then waits",
            script: "head -c 9999999 /dev/zero > f; sleep 60",
            verdicts: ["wall_time"],
            limits: ["wall_time_ms": 700, "workspace_bytes": 1_048_576]
        ),
        Stubborn(
            fact: "it fills /dev/shm, and is told so by the kernel alone",
            script: "head -c 9999999 /dev/zero > /dev/shm/f; test $? = 1",
            verdicts: ["ok"],
            limits: ["shared_memory_bytes": 65_536]
        ),
        Stubborn(
            fact: "it leaves a thousand zombies behind",
            script: "i=0; while [ $i -lt 1000 ]; do (true &); i=$((i+1)); done",
            verdicts: ["ok"],
            limits: [:],
            within: 20_000
        ),
    ]
}

@Suite("Jobs that do not want to end", .daemon, .beside)
struct StubbornTests {
    @Test("each ends on time, and nothing is left of it", arguments: Stubborn.all)
    func ends(_ job: Stubborn) throws {
        let began = Host.milliseconds
        let mark = Sandboxes.mark()
        let run = Run.shell(job.script, ["env": ["MARK": .string(mark)]])
        let report = try Host.daemon().run(run.limited(job.limits))
        // How long an engine takes to make a place is not what this is about.
        let took = Host.milliseconds - began - Int(report.timing("setup"))
        #expect(job.verdicts.contains(report.verdict), "\(report.json)")
        #expect(took < job.within * Host.slowness, "it took \(took) ms")
        #expect(report.isClean, "\(report.json["receipt"] ?? .null)")
        // The receipt's word, held against the host where that can be looked at.
        if Host.isRoot { #expect(Sandboxes.processes(marked: mark).isEmpty) }
    }
}
