// SPDX-License-Identifier: Apache-2.0
internal import CChannel
internal import Glibc
internal import Kernel
internal import Policy
internal import SystemPackage

/// Everything a verdict is drawn from. Pure.
struct Judgement {
    var limits: Limits
    var ending: Ending
    var counters: CgroupCounters
    /// The job could not be executed.
    var executionError: Errno?
    /// The verdict that somebody ended the run with.
    var cancellation: Verdict?
    /// Bytes written to standard output and error together.
    var outputBytes: UInt64
    /// The daemon ended the run because of them.
    var isOutputExceeded: Bool

    /// The verdict, with the counters that prove it. Reasons for which init or the daemon ended the
    /// run come first; after them, what the kernel says of the job's own end.
    func verdict() -> (Verdict, [Evidence]) {
        if ending.has(SBX_REASON_OOM) || counters.oomKills > 0 {
            return (.oom, Self.memoryEvidence(limits, counters))
        }
        if ending.has(SBX_REASON_PIDS) {
            return (.pids, pidsEvidence)
        }
        if ending.has(SBX_REASON_CPU_TIME) || isOverCPUTime {
            return (.cpuTime, cpuEvidence)
        }
        if ending.has(SBX_REASON_WALL_TIME) {
            return (
                .wallTime,
                [
                    Evidence("wall_time_limit_ms", UInt64(limits.wallTime.milliseconds)),
                    Evidence("wall_ms", ending.wallNanoseconds / 1_000_000),
                ]
            )
        }
        if isOutputExceeded {
            return (
                .output,
                [
                    Evidence("output_total_limit_bytes", limits.outputTotalBytes),
                    Evidence("output_bytes", outputBytes),
                ]
            )
        }
        if ending.has(SBX_REASON_LEASE) { return (.leaseLost, []) }
        if let cancellation { return (cancellation, []) }
        return ownEnd()
    }

    /// The job ended by itself.
    private func ownEnd() -> (Verdict, [Evidence]) {
        if let executionError {
            return (
                .exit(executionError == .noSuchFileOrDirectory ? 127 : 126),
                [Evidence("execve", "\(executionError)")]
            )
        }
        let status = ending.waitStatus
        if status == 0 { return (.ok, []) }
        // It failed, and it was refused a process before: a kernel that does not tell (v1) may have
        // counted that too late for init to see.
        if counters.pidsLimitHits > 0 { return (.pids, pidsEvidence) }
        let signal = status & 0x7f
        if signal == SIGSYS { return (.seccomp, [Evidence("signal", UInt64(SIGSYS))]) }
        if isWorkspaceFull { return (.disk, diskEvidence) }
        if signal != 0 { return (.signal(signal), [Evidence("signal", UInt64(signal))]) }
        return (.exit((status >> 8) & 0xff), [])
    }

    /// The kernel's own limit on one process's CPU time was first. A job can send itself SIGXCPU;
    /// it cannot make up the counter.
    private var isOverCPUTime: Bool {
        ending.waitStatus & 0x7f == SIGXCPU
            && counters.cpuMicroseconds >= limits.cpuTime.wholeNanoseconds / 1000
    }

    /// Full to the last page, or to the last inode.
    private var isWorkspaceFull: Bool {
        ending.workspaceBytesFree < 4096 || ending.workspaceInodesFree == 0
    }

    /// What proves that memory ran out.
    private static func memoryEvidence(
        _ limits: Limits,
        _ counters: CgroupCounters
    ) -> [Evidence] {
        [
            Evidence("memory_limit_bytes", limits.memoryBytes),
            Evidence("oom_kills", counters.oomKills),
            Evidence("memory_limit_hits", counters.memoryLimitHits),
        ] + (counters.memoryPeakBytes.map { [Evidence("memory_peak_bytes", $0)] } ?? [])
    }

    /// The verdict on a run whose init is gone in the middle of it; nil when nothing tells why.
    ///
    /// What a job keeps in shared memory, or in sockets, is not freed when it is killed: then the
    /// kernel goes on, and init is all that is left to be killed.
    static func verdict(
        onLossWith counters: CgroupCounters,
        _ limits: Limits
    ) -> (Verdict, [Evidence])? {
        counters.oomKills > 0 ? (.oom, memoryEvidence(limits, counters)) : nil
    }

    private var pidsEvidence: [Evidence] {
        [
            Evidence("pids_limit", UInt64(limits.pids)),
            Evidence("forks_refused", counters.pidsLimitHits),
        ]
    }

    private var cpuEvidence: [Evidence] {
        [
            Evidence("cpu_time_limit_ms", UInt64(limits.cpuTime.milliseconds)),
            Evidence("cpu_ms", counters.cpuMicroseconds / 1000),
        ]
    }

    private var diskEvidence: [Evidence] {
        [
            Evidence("workspace_limit_bytes", limits.workspaceBytes),
            Evidence("workspace_bytes", ending.workspaceBytes),
            Evidence("workspace_inodes_limit", limits.workspaceInodes),
            Evidence("workspace_inodes", ending.workspaceInodes),
        ]
    }
}
