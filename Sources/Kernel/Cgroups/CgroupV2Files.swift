// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import SystemPackage

/// What the files of a cgroup v2 directory say, whoever made it.
struct CgroupV2Files: Sendable {
    let meters: CgroupMeters
    private let directory: CgroupDirectory

    init(_ directory: CgroupDirectory) throws(Errno) {
        self.directory = directory
        let memoryEvents = try directory.descriptor.open("memory.events", O_RDONLY)
        meters = CgroupMeters(
            oomEvent: memoryEvents,
            oomCounter: memoryEvents,
            oomEventIsKill: false,
            pidsEvents: try directory.descriptor.open("pids.events", O_RDONLY),
            pidsEventsAreSilent: false,
            cpuUsage: try directory.descriptor.open("cpu.stat", O_RDONLY),
            cpuUsageIsNanoseconds: false
        )
    }

    /// What the kernel says it applied.
    func applied() throws(Errno) -> CgroupLimits {
        let cpu = try directory.read("cpu.max").split(whereSeparator: \.isWhitespace)
        let quota = cpu.first.flatMap { UInt64($0) } ?? .max
        let period = cpu.last.flatMap { UInt64($0) } ?? 1
        return CgroupLimits(
            memoryBytes: try directory.number("memory.max") ?? .max,
            swapBytes: try directory.number("memory.swap.max") ?? .max,
            pids: UInt32(clamping: try directory.number("pids.max") ?? .max),
            cpuMillicores: UInt32(
                clamping: quota.multipliedReportingOverflow(by: 1000).partialValue / period
            )
        )
    }

    /// The counters.
    func counters() throws(Errno) -> CgroupCounters {
        var counters = CgroupCounters()
        let cpu = try directory.read("cpu.stat")
        let memory = try directory.read("memory.events")
        counters.cpuUserMicroseconds = KernelFile.counter("user_usec", in: cpu) ?? 0
        counters.cpuMicroseconds = KernelFile.counter("usage_usec", in: cpu) ?? 0
        counters.memoryPeakBytes = try directory.numberIfPresent("memory.peak")
        counters.pidsPeak = try directory.numberIfPresent("pids.peak")
        counters.oomKills = KernelFile.counter("oom_kill", in: memory) ?? 0
        counters.memoryLimitHits = KernelFile.counter("max", in: memory) ?? 0
        counters.pidsLimitHits =
            KernelFile.counter("max", in: try directory.read("pids.events")) ?? 0
        return counters
    }

    /// Whether no process is inside.
    func isEmpty() throws(Errno) -> Bool {
        try directory.read("cgroup.events").contains("populated 0")
    }
}
