// SPDX-License-Identifier: Apache-2.0
package import SystemPackage

/// What the kernel is told to hold one attempt to.
package struct CgroupLimits: Sendable, Hashable {
    /// Memory of the whole process tree, page cache, tmpfs and shared memory included, in bytes.
    package var memoryBytes: UInt64
    /// Swap, on top of memory, in bytes. 0 is none.
    package var swapBytes: UInt64
    /// Tasks (processes and threads), init included.
    package var pids: UInt32
    /// CPU time per second of wall time, in thousandths of one core.
    package var cpuMillicores: UInt32

    package init(memoryBytes: UInt64, swapBytes: UInt64, pids: UInt32, cpuMillicores: UInt32) {
        self.memoryBytes = memoryBytes
        self.swapBytes = swapBytes
        self.pids = pids
        self.cpuMillicores = cpuMillicores
    }

    /// The scheduler's window: the quota is per this many microseconds.
    package static let cpuPeriodMicroseconds: UInt64 = 100_000

    /// CPU time per window, in microseconds.
    package var cpuQuotaMicroseconds: UInt64 {
        UInt64(cpuMillicores) * Self.cpuPeriodMicroseconds / 1000
    }
}

/// What the kernel counted for one attempt. Counters start at 0 with the cgroup, which no other
/// attempt ever shares.
package struct CgroupCounters: Sendable, Hashable {
    /// All CPU time, in microseconds.
    package var cpuMicroseconds: UInt64 = 0
    /// Of that in user mode. v1 knows this share by sampling only.
    package var cpuUserMicroseconds: UInt64 = 0
    /// Highest memory use, in bytes; nil where the kernel does not keep it.
    package var memoryPeakBytes: UInt64?
    /// Most tasks alive at once, init included; nil where the kernel does not keep it.
    package var pidsPeak: UInt64?
    /// Processes killed for want of memory.
    package var oomKills: UInt64 = 0
    /// Times the memory limit was run into, reclaim included.
    package var memoryLimitHits: UInt64 = 0
    /// Forks refused by the tasks limit.
    package var pidsLimitHits: UInt64 = 0

    package init() {}
}

/// Open files from which init learns that a limit was reached.
package struct CgroupMeters: Sendable {
    /// Becomes ready at an out-of-memory event.
    package var oomEvent: Descriptor
    /// Holds `oom_kill`.
    package var oomCounter: Descriptor
    /// Whether each event is a kill; otherwise the counter decides.
    package var oomEventIsKill: Bool
    /// `pids.events`.
    package var pidsEvents: Descriptor
    /// Whether the kernel counts there without telling.
    package var pidsEventsAreSilent: Bool
    /// `cpu.stat`, or a file of one number.
    package var cpuUsage: Descriptor
    /// Whether `cpuUsage` is one number of nanoseconds instead of a `usage_usec` line.
    package var cpuUsageIsNanoseconds: Bool
}

/// The cgroup of one attempt, or on v1 its directories in several hierarchies.
package protocol Cgroup: Sendable {
    /// Files that a process writes "0" into, as the daemon's user, to enter.
    var joinFiles: [Descriptor] { get }
    /// The directory that clone3 can start a process in (v2 only).
    var birthplace: Descriptor? { get }
    /// What init watches.
    var meters: CgroupMeters { get }

    /// Tells the kernel the limits. Before it, there are none.
    func apply(_ limits: CgroupLimits) throws(CgroupError)
    /// What the kernel says it applied: for the read-back.
    func applied() throws(Errno) -> CgroupLimits
    /// Whether /proc/PID/cgroup's text says that the process is inside.
    func contains(processCgroups text: [UInt8]) -> Bool
    /// The counters; readable until `remove`.
    func counters() throws(Errno) -> CgroupCounters
    /// Whether no process is inside any more.
    func isEmpty() throws(Errno) -> Bool
    /// Kills whatever is inside, where the kernel has one call for it (v2).
    func kill() throws(Errno)
    /// Removes it. Busy (`EBUSY`) while a process is inside.
    func remove() throws(Errno)
}

/// Where a daemon keeps the cgroups of its attempts.
package protocol CgroupTree: Sendable {
    /// 1 or 2.
    var version: Int { get }
    /// The directories that hold nothing but this daemon's attempts, for the janitor.
    var roots: [String] { get }

    /// Makes the cgroup of one sandbox, without limits yet. Leaves nothing behind on failure.
    func make(_ name: String) throws(CgroupError) -> any Cgroup
    /// The names of sandboxes that have a cgroup.
    func inventory() -> Set<String>
    /// Removes what an earlier daemon left of a sandbox: its processes, then its directories.
    func sweep(_ name: String) throws(CgroupError)
    /// Removes the (empty) tree itself.
    func remove()
}

/// Why this host cannot meter or cap an attempt.
package enum CgroupError: Error, Sendable, CustomStringConvertible {
    /// The host has no cgroup hierarchy with this controller.
    case noController(String)
    /// The hierarchy is there, and not ours to use.
    case notDelegated(path: String, Errno)
    /// A file of the cgroup could not be written or read.
    case refused(file: String, Errno)

    /// Names the file that `body` could not use.
    static func refusing<Value>(
        _ file: String,
        _ body: () throws(Errno) -> Value
    ) throws(CgroupError) -> Value {
        do throws(Errno) { return try body() } catch { throw .refused(file: file, error) }
    }

    /// Names the cgroup that `body` was not allowed to take over.
    static func delegating<Value>(
        _ path: String,
        _ body: () throws(Errno) -> Value
    ) throws(CgroupError) -> Value {
        do throws(Errno) { return try body() } catch { throw .notDelegated(path: path, error) }
    }

    package var description: String {
        switch self {
        case .noController(let name):
            "no cgroup controller '\(name)' is available here: without it a limit would be a "
                + "promise only. Run 'sandboxd doctor'"
        case .notDelegated(let path, let code):
            "the cgroup \(path) is not delegated to this user: run 'sudo sandboxd setup', or "
                + "start the daemon from its systemd unit (Delegate=yes): \(code)"
        case .refused(let file, let code):
            "the kernel refused \(file): \(code)"
        }
    }
}
