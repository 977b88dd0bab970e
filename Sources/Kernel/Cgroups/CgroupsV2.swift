// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import SystemPackage

/// cgroup v2: one directory an attempt below the cgroup that was delegated to the daemon.
///
/// The daemon moves itself into `daemon/`, because a cgroup that has processes cannot hand
/// controllers on to its children, and keeps attempts below `runs/`.
package struct CgroupsV2: CgroupTree {
    private static let controllers = ["cpu", "memory", "pids"]

    package let version = 2
    package var roots: [String] { [runs.path] }

    private let runs: CgroupDirectory
    private let base: CgroupDirectory

    /// Takes the cgroup that this process is in, which must be delegated to its user.
    package init(mounts: MountTable) throws(CgroupError) {
        guard let mount = mounts.cgroupV2 else { throw .noController("cgroup2") }
        let base = try CgroupError.delegating(mount) { () throws(Errno) in
            try CgroupDirectory(opening: mount + Self.ownPath())
        }
        let available = try CgroupError.delegating(base.path) { () throws(Errno) in
            try base.read("cgroup.controllers").split(whereSeparator: \.isWhitespace)
        }
        for controller in Self.controllers where !available.contains(Substring(controller)) {
            throw .noController(controller)
        }
        self.base = base
        runs = try CgroupError.delegating(base.path) { () throws(Errno) in
            _ = mkdirat(base.descriptor.number, "daemon", 0o755)
            _ = mkdirat(base.descriptor.number, "runs", 0o755)
            try base.write("daemon/cgroup.procs", "0")
            let enable = Self.controllers.map { "+" + $0 }.joined(separator: " ")
            try base.write("cgroup.subtree_control", enable)
            try base.write("runs/cgroup.subtree_control", enable)
            return try CgroupDirectory(opening: base.path + "/runs")
        }
    }

    /// This process's cgroup, without the `/daemon` of an earlier start in the same unit.
    private static func ownPath() throws(Errno) -> String {
        let text = try KernelFile.read("/proc/self/cgroup")
        guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix("0::") }) else {
            throw .noSuchFileOrDirectory
        }
        let path = line.dropFirst(3)
        return String(path.hasSuffix("/daemon") ? path.dropLast("/daemon".count) : path)
    }

    package func make(_ name: String) throws(CgroupError) -> any Cgroup {
        let directory = try CgroupError.refusing(runs.path + "/" + name) { () throws(Errno) in
            try runs.make(name)
        }
        do throws(CgroupError) {
            return try CgroupV2(name: name, parent: runs, directory)
        } catch {
            // Undoing: the first error is the one to tell.
            try? runs.remove(name)
            throw error
        }
    }

    package func inventory() -> Set<String> { runs.children() }

    package func sweep(_ name: String) throws(CgroupError) {
        do throws(Errno) {
            try runs.write(name + "/cgroup.kill", "1")
            try runs.remove(name)
        } catch .noSuchFileOrDirectory {
            return
        } catch {
            throw .refused(file: runs.path + "/" + name, error)
        }
    }

    package func remove() {
        // Ours or, if busy, the next start's: an empty directory is harmless.
        try? base.remove("runs")
    }
}

/// One attempt's directory.
struct CgroupV2: Cgroup {
    let joinFiles: [Descriptor] = []
    let birthplace: Descriptor?
    let meters: CgroupMeters

    private let name: String
    private let parent: CgroupDirectory
    private let directory: CgroupDirectory

    init(
        name: String,
        parent: CgroupDirectory,
        _ directory: CgroupDirectory
    ) throws(CgroupError) {
        self.name = name
        self.parent = parent
        self.directory = directory
        birthplace = directory.descriptor
        do throws(Errno) {
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
        } catch {
            throw .refused(file: directory.path, error)
        }
    }

    func apply(_ limits: CgroupLimits) throws(CgroupError) {
        let values: [(String, String)] = [
            ("memory.max", String(limits.memoryBytes)),
            ("memory.swap.max", String(limits.swapBytes)),
            ("pids.max", String(limits.pids)),
            ("cpu.max", "\(limits.cpuQuotaMicroseconds) \(CgroupLimits.cpuPeriodMicroseconds)"),
            // An attempt makes no cgroups of its own.
            ("cgroup.max.descendants", "0"),
        ]
        for (file, value) in values {
            do throws(Errno) { try directory.write(file, value) } catch {
                throw .refused(file: directory.path + "/" + file, error)
            }
        }
    }

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

    func contains(processCgroups text: [UInt8]) -> Bool {
        KernelFile.contains(text, "/runs/" + name + "\n")
    }

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

    func isEmpty() throws(Errno) -> Bool {
        try directory.read("cgroup.events").contains("populated 0")
    }

    func kill() throws(Errno) {
        try directory.write("cgroup.kill", "1")
    }

    func remove() throws(Errno) {
        try parent.remove(name)
    }
}
