// SPDX-License-Identifier: Apache-2.0
import CChannel
import Kernel
import Policy
import SystemPackage
import Testing

@testable import Spawner

/// What is known of a run's end, and the verdict that must come of it.
struct Case: Sendable, CustomTestStringConvertible {
    let fact: String
    var status: Int32 = 0
    var reasons: [sbx_reason] = []
    var oomKills: UInt64 = 0
    var forksRefused: UInt64 = 0
    var cpuMicroseconds: UInt64 = 0
    var bytesFree: UInt64 = 1 << 20
    var inodesFree: UInt64 = 100
    var executionError: Errno?
    var cancellation: Verdict?
    var isOutputExceeded = false
    let verdict: Verdict

    var testDescription: String { fact }

    private static let killed: Int32 = 9
    private static let failed: Int32 = 1 << 8

    static let all: [Case] = [
        Case(fact: "status 0 is ok", verdict: .ok),
        Case(fact: "status 0 with a full workspace is ok", bytesFree: 0, verdict: .ok),
        Case(fact: "status 0 after a refused fork is ok", forksRefused: 3, verdict: .ok),
        Case(fact: "a status is the job's own", status: 42 << 8, verdict: .exit(42)),
        Case(fact: "a signal that nobody here sent", status: 15, verdict: .signal(15)),
        Case(fact: "a core dump's signal", status: 11 | 0x80, verdict: .signal(11)),
        Case(fact: "SIGSYS is the filter", status: 31, verdict: .seccomp),
        Case(fact: "SIGSYS with its core bit too", status: 31 | 0x80, verdict: .seccomp),
        Case(
            fact: "SIGXCPU with the CPU time used up is CPU time",
            status: 24,
            cpuMicroseconds: .max,
            verdict: .cpuTime
        ),
        Case(fact: "SIGXCPU by the job's own hand is a signal", status: 24, verdict: .signal(24)),
        Case(fact: "SIGXFSZ with room left is a signal", status: 25, verdict: .signal(25)),
        Case(fact: "SIGXFSZ without is the workspace", status: 25, bytesFree: 0, verdict: .disk),
        Case(
            fact: "a failure without a page left",
            status: failed,
            bytesFree: 4095,
            verdict: .disk
        ),
        Case(
            fact: "a failure with a page left",
            status: failed,
            bytesFree: 4096,
            verdict: .exit(1)
        ),
        Case(
            fact: "a failure without an inode left",
            status: failed,
            inodesFree: 0,
            verdict: .disk
        ),
        Case(
            fact: "a failure after a refused fork",
            status: failed,
            forksRefused: 1,
            verdict: .pids
        ),
        Case(
            fact: "not there is 127",
            status: 127 << 8,
            executionError: .noSuchFileOrDirectory,
            verdict: .exit(127)
        ),
        Case(
            fact: "not executable is 126",
            status: 126 << 8,
            executionError: .permissionDenied,
            verdict: .exit(126)
        ),
        Case(
            fact: "a format nobody knows is 126",
            status: 126 << 8,
            executionError: .execFormatError,
            verdict: .exit(126)
        ),
        Case(
            fact: "init saw the memory cap",
            status: killed,
            reasons: [SBX_REASON_OOM],
            verdict: .oom
        ),
        Case(
            fact: "the kernel counted a kill that init did not see",
            status: killed,
            oomKills: 1,
            verdict: .oom
        ),
        Case(fact: "a child was killed for memory, the job went on", oomKills: 1, verdict: .oom),
        Case(
            fact: "memory goes before the deadline",
            status: killed,
            reasons: [SBX_REASON_WALL_TIME],
            oomKills: 1,
            verdict: .oom
        ),
        Case(
            fact: "memory goes before cancelling",
            status: killed,
            reasons: [SBX_REASON_KILLED],
            oomKills: 1,
            cancellation: .cancelled,
            verdict: .oom
        ),
        Case(
            fact: "init saw the cap on processes",
            status: killed,
            reasons: [SBX_REASON_PIDS],
            forksRefused: 1,
            verdict: .pids
        ),
        Case(
            fact: "init saw the cap on CPU time",
            status: killed,
            reasons: [SBX_REASON_CPU_TIME],
            verdict: .cpuTime
        ),
        Case(
            fact: "CPU time goes before wall time",
            status: killed,
            reasons: [SBX_REASON_CPU_TIME, SBX_REASON_WALL_TIME],
            verdict: .cpuTime
        ),
        Case(
            fact: "the deadline",
            status: killed,
            reasons: [SBX_REASON_WALL_TIME],
            verdict: .wallTime
        ),
        Case(
            fact: "the deadline with a full workspace is the deadline",
            status: killed,
            reasons: [SBX_REASON_WALL_TIME],
            bytesFree: 0,
            verdict: .wallTime
        ),
        Case(
            fact: "the deadline goes before output",
            status: killed,
            reasons: [SBX_REASON_WALL_TIME, SBX_REASON_KILLED],
            isOutputExceeded: true,
            verdict: .wallTime
        ),
        Case(
            fact: "output beyond its cap",
            status: killed,
            reasons: [SBX_REASON_KILLED],
            isOutputExceeded: true,
            verdict: .output
        ),
        Case(
            fact: "output goes before cancelling",
            status: killed,
            reasons: [SBX_REASON_KILLED],
            cancellation: .cancelled,
            isOutputExceeded: true,
            verdict: .output
        ),
        Case(
            fact: "cancelled",
            status: killed,
            reasons: [SBX_REASON_KILLED],
            cancellation: .cancelled,
            verdict: .cancelled
        ),
    ]
}

@Suite("How a verdict is drawn")
struct JudgementTests {
    private static func limits() throws -> Limits {
        try Limits { (limit: Limit) throws(Errno) in limit.allowed.lowerBound }
    }

    private func judgement(_ one: Case) throws -> Judgement {
        var counters = CgroupCounters()
        counters.oomKills = one.oomKills
        counters.pidsLimitHits = one.forksRefused
        counters.cpuMicroseconds = one.cpuMicroseconds
        return Judgement(
            limits: try Self.limits(),
            ending: Ending(
                waitStatus: one.status,
                reasons: one.reasons.reduce(0) { $0 | $1.rawValue },
                workspaceBytes: 0,
                workspaceInodes: 0,
                workspaceBytesFree: one.bytesFree,
                workspaceInodesFree: one.inodesFree,
                wallNanoseconds: 5_000_000
            ),
            counters: counters,
            executionError: one.executionError,
            cancellation: one.cancellation,
            outputBytes: 7,
            isOutputExceeded: one.isOutputExceeded
        )
    }

    @Test("each end has one verdict, and of several reasons the first counts", arguments: Case.all)
    func verdict(_ one: Case) throws {
        #expect(try judgement(one).verdict().0 == one.verdict)
    }

    @Test("every verdict that names a cap comes with the cap and what was counted")
    func evidence() throws {
        let capped: Set<Verdict> = [.oom, .pids, .cpuTime, .wallTime, .output, .disk]
        for one in Case.all {
            let (verdict, evidence) = try judgement(one).verdict()
            if capped.contains(verdict) {
                #expect(evidence.contains { $0.name.contains("limit") }, "\(one.fact)")
                #expect(evidence.count >= 2, "\(one.fact)")
            }
        }
    }

    @Test("an init that is gone was killed for memory when the kernel counts a kill")
    func loss() throws {
        var counters = CgroupCounters()
        let limits = try Self.limits()
        #expect(Judgement.verdict(onLossWith: counters, limits) == nil)
        counters.oomKills = 1
        let (verdict, evidence) = try #require(Judgement.verdict(onLossWith: counters, limits))
        #expect(verdict == .oom)
        #expect(evidence.contains(Evidence("oom_kills", 1)))
    }
}
