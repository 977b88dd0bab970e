// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// A run that ends in one way, and what must prove it.
struct Ending: Sendable, CustomTestStringConvertible {
    let fact: String
    let run: Run
    let verdict: String
    var exitCode: Int?
    var signal: Int?
    /// Names that the evidence must have.
    var evidence: Set<String> = []

    var testDescription: String { fact }

    private static let bomb = "b = bytearray(200 << 20)"
    private static let pidsBomb = "while :; do sleep 30 & done"

    static let all: [Ending] = [
        Ending(fact: "exit status 0 is ok", run: Run(["true"]), verdict: "ok", exitCode: 0),
        Ending(fact: "exit status 1", run: Run(["false"]), verdict: "exit", exitCode: 1),
        Ending(fact: "exit status 255", run: .shell("exit 255"), verdict: "exit", exitCode: 255),
        Ending(
            fact: "a program that is not there is 127",
            run: Run(["no-such-program"]),
            verdict: "exit",
            exitCode: 127,
            evidence: ["execve"]
        ),
        Ending(
            fact: "a path that is not there is 127",
            run: Run(["/no/such/program"]),
            verdict: "exit",
            exitCode: 127,
            evidence: ["execve"]
        ),
        Ending(
            fact: "a file that is not executable is 126",
            run: Run(["/etc/passwd"]),
            verdict: "exit",
            exitCode: 126,
            evidence: ["execve"]
        ),
        Ending(
            fact: "a directory is 126",
            run: Run(["/usr"]),
            verdict: "exit",
            exitCode: 126,
            evidence: ["execve"]
        ),
        Ending(
            fact: "a file of an unknown format is 126",
            run: Run(
                ["/workspace/x"],
                ["files": [["path": "x", "text": "\u{7f}ELF nonsense", "mode": 493]]]
            ),
            verdict: "exit",
            exitCode: 126,
            evidence: ["execve"]
        ),
        Ending(
            fact: "a job that kills itself",
            run: .shell("kill -KILL $$"),
            verdict: "signal",
            signal: 9,
            evidence: ["signal"]
        ),
        Ending(
            fact: "a job that aborts",
            run: .python("import os; os.abort()"),
            verdict: "signal",
            signal: 6,
            evidence: ["signal"]
        ),
        Ending(
            fact: "a child's signal is the shell's exit status",
            run: .shell("sh -c 'kill -TERM $$'; exit $?"),
            verdict: "exit",
            exitCode: 143
        ),
        Ending(
            fact: "more memory than the cap",
            run: .python(bomb).limited(["memory_bytes": 67_108_864]),
            verdict: "oom",
            evidence: ["memory_limit_bytes", "oom_kills"]
        ),
        Ending(
            fact: "a child that takes more memory than the cap ends the whole job",
            run: .shell("python3 -c '\(bomb)'; sleep 60").limited(["memory_bytes": 67_108_864]),
            verdict: "oom",
            evidence: ["memory_limit_bytes", "oom_kills"]
        ),
        Ending(
            fact: "the deadline",
            run: Run(["sleep", "60"]).limited(["wall_time_ms": 300]),
            verdict: "wall_time",
            evidence: ["wall_time_limit_ms", "wall_ms"]
        ),
        Ending(
            fact: "the cap on CPU time",
            run: .python("while True: pass").limited(["cpu_time_ms": 300]),
            verdict: "cpu_time",
            evidence: ["cpu_time_limit_ms", "cpu_ms"]
        ),
        Ending(
            fact: "the cap on CPU time counts a child's",
            run: .shell("python3 -c 'while True: pass' & wait").limited(["cpu_time_ms": 300]),
            verdict: "cpu_time",
            evidence: ["cpu_time_limit_ms", "cpu_ms"]
        ),
        Ending(
            fact: "the cap on processes",
            run: .shell(pidsBomb).limited(["pids": 16]),
            verdict: "pids",
            evidence: ["pids_limit", "forks_refused"]
        ),
        Ending(
            fact: "the cap on output",
            run: .shell("yes").limited(["output_total_bytes": 1_048_576]),
            verdict: "output",
            evidence: ["output_total_limit_bytes", "output_bytes"]
        ),
        Ending(
            fact: "a workspace without a byte left",
            run: .shell("head -c 8388608 /dev/zero > f").limited(["workspace_bytes": 4_194_304]),
            verdict: "disk",
            evidence: ["workspace_limit_bytes", "workspace_bytes"]
        ),
        Ending(
            fact: "a workspace without an inode left",
            run: .shell("i=0; while : > f$i; do i=$((i+1)); done")
                .limited(["workspace_inodes": 64]),
            verdict: "disk",
            evidence: ["workspace_inodes_limit", "workspace_inodes"]
        ),
        Ending(
            fact: "a file larger than the workspace could be, in a workspace that is not full",
            run: Run(["truncate", "-s", "1T", "f"]),
            verdict: "signal",
            signal: 25,
            evidence: ["signal"]
        ),
    ]
}

@Suite("Verdicts", .daemon, .beside)
struct VerdictTests {
    @Test("each ending has its verdict, its evidence, and leaves nothing", arguments: Ending.all)
    func ending(_ ending: Ending) throws {
        let report = try Host.daemon().run(ending.run)
        #expect(report.verdict == ending.verdict, "\(report.json)")
        #expect(report.exitCode == ending.exitCode)
        #expect(report.signal == ending.signal)
        let evidence = report.json["evidence"]?.keys ?? []
        #expect(evidence.isSuperset(of: ending.evidence), "\(evidence)")
        #expect(report.isClean, "\(report.json["receipt"] ?? .null)")
    }

    @Test("a call that only another processor's table has is killed, and the verdict says seccomp")
    func foreignCall() throws {
        // mov eax, 20; int 0x80: getpid through the 32-bit gate.
        let program = """
            import ctypes, mmap
            m = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
            m.write(b'\\xb8\\x14\\0\\0\\0\\xcd\\x80\\xc3')
            at = ctypes.addressof(ctypes.c_char.from_buffer(m))
            ctypes.CFUNCTYPE(ctypes.c_int)(at)()
            """
        let report = try Host.daemon().run(.python(program))
        #expect(report.verdict == "seccomp", "\(report.json)")
        #expect(report.evidence("signal") == 31)
        #expect(report.isClean)
    }

    @Test(
        "a limit that is no round number is enforced like any other",
        arguments: [
            ["workspace_bytes": 1_048_577], ["workspace_inodes": 97], ["memory_bytes": 33_554_433],
            ["shared_memory_bytes": 65_537], ["cpu_millicores": 333], ["pids": 3],
            ["output_bytes": 1025], ["open_files": 17], ["wall_time_ms": 1001],
            ["cpu_time_ms": 101], ["artifact_bytes": 1025], ["artifact_count": 1],
        ]
    )
    func odd(limits: [String: Int]) throws {
        let run = Run(["true"]).limited(limits.mapValues { .number(Double($0)) })
        let report = try Host.daemon().run(run)
        #expect(report.verdict == "ok", "\(report.json)")
    }

    @Test("evidence of a deadline holds the limit and a time beyond it")
    func deadlineEvidence() throws {
        let report = try Host.daemon().run(Run(["sleep", "60"]).limited(["wall_time_ms": 400]))
        #expect(report.evidence("wall_time_limit_ms") == 400)
        let wall = try #require(report.evidence("wall_ms"))
        #expect(wall >= 400 && wall < 400 + 2000 * Double(Host.slowness))
    }

    @Test("evidence of the memory cap holds the cap and a kill")
    func memoryEvidence() throws {
        let run = Run.python("b = bytearray(200 << 20)").limited(["memory_bytes": 50_331_648])
        let report = try Host.daemon().run(run)
        #expect(report.evidence("memory_limit_bytes") == 50_331_648)
        #expect(try #require(report.evidence("oom_kills")) >= 1)
    }

    @Test("a caller that closes its connection cancels the run, and nothing is left of it", .root)
    func cancelledByClosing() throws {
        let mark = Sandboxes.mark()
        let live = try Host.daemon().start(
            .shell("echo up; sleep 60", ["env": ["MARK": .string(mark)]])
        )
        try live.waits(for: "up")
        let processes = Sandboxes.processes(marked: mark)
        let cgroups = Sandboxes.cgroups(of: try #require(processes.first))
        #expect(!cgroups.isEmpty && cgroups.allSatisfy { access($0, F_OK) == 0 })
        live.cancel()
        let gone = Host.waits(upTo: .seconds(20)) {
            cgroups.allSatisfy { access($0, F_OK) != 0 }
        }
        #expect(gone, "\(cgroups)")
        #expect(Sandboxes.processes(marked: mark).isEmpty)
    }

    @Test("a caller that closes its connection before its answer cancels the run too")
    func cancelledEarly() throws {
        let api = try Host.daemon()
        let before = try #require(try api.status()["finished"]?.int)
        let connection = try HTTPConnection(api.socket)
        try connection.send(
            "POST",
            "/v1/runs",
            headers: ["Accept": "application/json"],
            body: try Run(["sleep", "100"]).json.bytes
        )
        connection.close()
        let ended = try Host.waits(upTo: .seconds(10)) {
            try (api.status()["finished"]?.int ?? 0) > before
        }
        #expect(ended, "the run of a caller that is gone goes on")
    }
}
