// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc
internal import SystemPackage

/// cgroup v1: one directory an attempt in each of four hierarchies (some of which may be mounted
/// together). For hosts that have not moved to v2.
///
/// Each hierarchy has a directory `sandboxd` that `sandboxd setup` gave to the daemon's user, and
/// in it one for this daemon.
package struct CgroupsV1: CgroupTree {
    private static let controllers = ["memory", "pids", "cpu", "cpuacct"]

    package let version = 1
    package var roots: [String] { distinct.map(\.path) }

    private let node: String
    private let parents: [CgroupDirectory]
    private let memory: CgroupDirectory
    private let pids: CgroupDirectory
    private let cpu: CgroupDirectory
    private let cpuacct: CgroupDirectory

    /// Makes this daemon's directory in every hierarchy.
    package init(node: String, mounts: MountTable) throws(CgroupError) {
        var parents: [String: CgroupDirectory] = [:]
        var directories: [String: CgroupDirectory] = [:]
        for controller in Self.controllers {
            guard let mount = mounts.cgroupV1(controller: controller) else {
                throw .noController(controller)
            }
            let path = mount + "/sandboxd"
            if parents[path] == nil {
                do throws(Errno) {
                    let parent = try CgroupDirectory(opening: path)
                    parents[path] = parent
                    _ = mkdirat(parent.descriptor.number, node, 0o755)
                    directories[path] = try CgroupDirectory(opening: path + "/" + node)
                    _ = try kernel { access(path + "/" + node, W_OK) }
                } catch {
                    throw .notDelegated(path: path, error)
                }
            }
        }
        func directory(_ controller: String) -> CgroupDirectory? {
            mounts.cgroupV1(controller: controller).flatMap { directories[$0 + "/sandboxd"] }
        }
        guard let memory = directory("memory"), let pids = directory("pids"),
            let cpu = directory("cpu"), let cpuacct = directory("cpuacct")
        else { preconditionFailure("every controller was just found") }
        self.node = node
        self.parents = Array(parents.values)
        (self.memory, self.pids, self.cpu, self.cpuacct) = (memory, pids, cpu, cpuacct)
    }

    /// The four, each hierarchy once.
    private var distinct: [CgroupDirectory] {
        var seen: Set<String> = []
        return [memory, pids, cpu, cpuacct].filter { seen.insert($0.path).inserted }
    }

    package func make(_ name: String) throws(CgroupError) -> any Cgroup {
        var made: [String: CgroupDirectory] = [:]
        do throws(CgroupError) {
            for parent in distinct {
                do throws(Errno) { made[parent.path] = try parent.make(name) } catch {
                    throw .refused(file: parent.path + "/" + name, error)
                }
            }
            guard let memory = made[memory.path], let pids = made[pids.path],
                let cpu = made[cpu.path], let cpuacct = made[cpuacct.path]
            else { preconditionFailure("every hierarchy was just made") }
            return try CgroupV1(
                name: name,
                parents: distinct,
                memory: memory,
                pids: pids,
                cpu: cpu,
                cpuacct: cpuacct
            )
        } catch {
            for parent in distinct where made[parent.path] != nil {
                // Undoing: the first error is the one to tell.
                try? parent.remove(name)
            }
            throw error
        }
    }

    package func inventory() -> Set<String> {
        distinct.reduce(into: []) { $0.formUnion($1.children()) }
    }

    package func sweep(_ name: String) throws(CgroupError) {
        for parent in distinct {
            do throws(Errno) { try parent.remove(name) } catch {
                throw .refused(file: parent.path + "/" + name, error)
            }
        }
    }

    package func remove() {
        for parent in parents {
            // Another daemon of the same name may have started meanwhile; then it is busy.
            try? parent.remove(node)
        }
    }
}

/// One attempt's directories.
struct CgroupV1: Cgroup {
    let joinFiles: [Descriptor]
    let birthplace: Descriptor? = nil
    let meters: CgroupMeters

    private let name: String
    private let parents: [CgroupDirectory]
    private let memory: CgroupDirectory
    private let pids: CgroupDirectory
    private let cpuacct: CgroupDirectory
    // Opened with the cgroup, ahead of its run: a run only writes and reads them back.
    private let memoryLimit: CgroupFile
    private let memoryAndSwapLimit: CgroupFile
    /// nil where the kernel no longer has it: it is on its way out.
    private let socketLimit: CgroupFile?
    private let pidsLimit: CgroupFile
    private let cpuPeriod: CgroupFile
    private let cpuQuota: CgroupFile

    init(
        name: String,
        parents: [CgroupDirectory],
        memory: CgroupDirectory,
        pids: CgroupDirectory,
        cpu: CgroupDirectory,
        cpuacct: CgroupDirectory
    ) throws(CgroupError) {
        self.name = name
        self.parents = parents
        (self.memory, self.pids, self.cpuacct) = (memory, pids, cpuacct)
        do throws(Errno) {
            memoryLimit = try memory.file("memory.limit_in_bytes")
            memoryAndSwapLimit = try memory.file("memory.memsw.limit_in_bytes")
            socketLimit = try memory.fileIfPresent("memory.kmem.tcp.limit_in_bytes")
            pidsLimit = try pids.file("pids.max")
            cpuPeriod = try cpu.file("cpu.cfs_period_us")
            cpuQuota = try cpu.file("cpu.cfs_quota_us")
            var seen: Set<String> = []
            var joinFiles: [Descriptor] = []
            for directory in [memory, pids, cpu, cpuacct]
            where seen.insert(directory.path).inserted {
                joinFiles.append(try directory.descriptor.open("tasks", O_WRONLY))
            }
            self.joinFiles = joinFiles
            meters = try Self.openMeters(memory: memory, pids: pids, cpuacct: cpuacct)
        } catch {
            throw .refused(file: memory.path, error)
        }
    }

    private static func openMeters(
        memory: CgroupDirectory,
        pids: CgroupDirectory,
        cpuacct: CgroupDirectory
    ) throws(Errno) -> CgroupMeters {
        let event = Descriptor(
            owning: try kernel { eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK)) }
        )
        let control = try memory.descriptor.open("memory.oom_control", O_RDONLY)
        try memory.write("cgroup.event_control", "\(event.number) \(control.number)")
        return CgroupMeters(
            oomEvent: event,
            oomCounter: control,
            oomEventIsKill: true,
            pidsEvents: try pids.descriptor.open("pids.events", O_RDONLY),
            pidsEventsAreSilent: true,
            cpuUsage: try cpuacct.descriptor.open("cpuacct.usage", O_RDONLY),
            cpuUsageIsNanoseconds: true
        )
    }

    func apply(_ limits: CgroupLimits) throws(CgroupError) {
        // The order is the kernel's: memory before memory and swap together.
        let values: [(CgroupFile, UInt64)] = [
            (memoryLimit, limits.memoryBytes),
            (memoryAndSwapLimit, limits.memoryBytes + limits.swapBytes),
            (pidsLimit, UInt64(limits.pids)),
            (cpuPeriod, CgroupLimits.cpuPeriodMicroseconds),
            (cpuQuota, limits.cpuQuotaMicroseconds),
        ]
        for (file, value) in values {
            try CgroupError.refusing(file.path) { () throws(Errno) in
                try file.write(String(value))
            }
        }
        // TCP's buffers are in no other limit of v1. The kernel leaves each connection some beyond
        // it, so it slows a job down rather than stop it: there is nothing to read back.
        if let socketLimit {
            try CgroupError.refusing(socketLimit.path) { () throws(Errno) in
                do throws(Errno) {
                    try socketLimit.write(String(limits.memoryBytes / 8))
                } catch .notSupported {
                    // A kernel that keeps the file's name alone.
                }
            }
        }
    }

    func applied() throws(Errno) -> CgroupLimits {
        let memoryBytes = try memoryLimit.number() ?? .max
        let both = try memoryAndSwapLimit.number() ?? .max
        let quota = try cpuQuota.number() ?? .max
        let period = try cpuPeriod.number() ?? 1
        return CgroupLimits(
            memoryBytes: memoryBytes,
            swapBytes: both &- memoryBytes,
            pids: UInt32(clamping: try pidsLimit.number() ?? .max),
            cpuMillicores: UInt32(
                clamping: quota.multipliedReportingOverflow(by: 1000).partialValue / period
            )
        )
    }

    func contains(processCgroups text: [UInt8]) -> Bool {
        // One line a hierarchy: `4:memory:/sandboxd/NODE/NAME`.
        let lines = text.split(separator: UInt8(ascii: "\n"))
        let end = Array(("/" + name).utf8)
        return ["memory", "pids", "cpu", "cpuacct"].allSatisfy { controller in
            lines.contains { line in
                line.suffix(end.count).elementsEqual(end)
                    && line.split(separator: UInt8(ascii: ":"), maxSplits: 2)[1]
                        .split(separator: UInt8(ascii: ","))
                        .contains { $0.elementsEqual(controller.utf8) }
            }
        }
    }

    func counters() throws(Errno) -> CgroupCounters {
        var counters = CgroupCounters()
        let total = try CgroupFile.read(meters.cpuUsage)
        // The sum is exact; the two parts are sampled at the timer's tick, so they only share it.
        let parts = try cpuacct.read("cpuacct.stat")
        let user = KernelFile.counter("user", in: parts) ?? 0
        let system = KernelFile.counter("system", in: parts) ?? 0
        counters.cpuMicroseconds = (UInt64(total.prefix { $0 != "\n" }) ?? 0) / 1000
        counters.cpuUserMicroseconds = UInt64(
            Double(counters.cpuMicroseconds) * Double(user) / Double(max(1, user + system))
        )
        counters.memoryPeakBytes = try memory.number("memory.max_usage_in_bytes")
        counters.pidsPeak = try pids.numberIfPresent("pids.peak")
        let events = try CgroupFile.read(meters.pidsEvents)
        counters.pidsLimitHits = KernelFile.counter("max", in: events) ?? 0
        let oom = try CgroupFile.read(meters.oomCounter)
        counters.oomKills = KernelFile.counter("oom_kill", in: oom) ?? 0
        if counters.oomKills > 0 {
            // Without swap it is the sum of memory and swap that is run into.
            counters.memoryLimitHits =
                (try memory.number("memory.failcnt") ?? 0)
                + (try memory.number("memory.memsw.failcnt") ?? 0)
        }
        return counters
    }

    func isEmpty() throws(Errno) -> Bool {
        try pids.read("cgroup.procs").isEmpty
    }

    func kill() {
        // v1 has no such call. The death of init ends its PID namespace, which is everybody.
    }

    func remove() throws(Errno) {
        for parent in parents { try parent.remove(name) }
    }
}
