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
    private let cpu: CgroupDirectory
    private let cpuacct: CgroupDirectory

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
        (self.memory, self.pids, self.cpu, self.cpuacct) = (memory, pids, cpu, cpuacct)
        do throws(Errno) {
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
        let memoryAndSwap = limits.memoryBytes + limits.swapBytes
        // The order is the kernel's: memory before memory and swap together.
        let values: [(CgroupDirectory, String, UInt64)] = [
            (memory, "memory.limit_in_bytes", limits.memoryBytes),
            (memory, "memory.memsw.limit_in_bytes", memoryAndSwap),
            (pids, "pids.max", UInt64(limits.pids)),
            (cpu, "cpu.cfs_period_us", CgroupLimits.cpuPeriodMicroseconds),
            (cpu, "cpu.cfs_quota_us", limits.cpuQuotaMicroseconds),
        ]
        for (directory, file, value) in values {
            do throws(Errno) { try directory.write(file, String(value)) } catch {
                throw .refused(file: directory.path + "/" + file, error)
            }
        }
    }

    func applied() throws(Errno) -> CgroupLimits {
        let memoryBytes = try memory.number("memory.limit_in_bytes") ?? .max
        let both = try memory.number("memory.memsw.limit_in_bytes") ?? .max
        let quota = try cpu.number("cpu.cfs_quota_us") ?? .max
        let period = try cpu.number("cpu.cfs_period_us") ?? 1
        return CgroupLimits(
            memoryBytes: memoryBytes,
            swapBytes: both &- memoryBytes,
            pids: UInt32(clamping: try pids.number("pids.max") ?? .max),
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
        let oom = try memory.read("memory.oom_control")
        // The sum is exact; the two parts are sampled at the timer's tick, so they only share it.
        let user = try cpuacct.number("cpuacct.usage_user") ?? 0
        let system = try cpuacct.number("cpuacct.usage_sys") ?? 0
        counters.cpuMicroseconds = (try cpuacct.number("cpuacct.usage") ?? 0) / 1000
        counters.cpuUserMicroseconds = UInt64(
            Double(counters.cpuMicroseconds) * Double(user) / Double(max(1, user + system))
        )
        counters.memoryPeakBytes = try memory.number("memory.max_usage_in_bytes")
        counters.pidsPeak = try pids.numberIfPresent("pids.peak")
        counters.oomKills = KernelFile.counter("oom_kill", in: oom) ?? 0
        // Without swap it is the sum of memory and swap that is run into.
        counters.memoryLimitHits =
            (try memory.number("memory.failcnt") ?? 0)
            + (try memory.number("memory.memsw.failcnt") ?? 0)
        counters.pidsLimitHits = KernelFile.counter("max", in: try pids.read("pids.events")) ?? 0
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
