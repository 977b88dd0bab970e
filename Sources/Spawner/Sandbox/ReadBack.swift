// SPDX-License-Identifier: Apache-2.0
internal import Kernel
internal import Policy
internal import SystemPackage

/// Compares what the kernel applied with what the policy says, before the job's first instruction.
///
/// Everything is read from outside, from the job's own process, which is confined and waits at the
/// gate. A difference is a sentence; none is the only way through.
struct ReadBack {
    private static let namespaces: [(Layer?, String)] = [
        (nil, "user"), (nil, "mnt"), (nil, "cgroup"), (.pidNamespace, "pid"),
        (.networkNamespace, "net"), (.ipcNamespace, "ipc"), (.utsNamespace, "uts"),
    ]

    /// The daemon's own namespaces: no sandbox is in any of them.
    private static let own: [String: String] = Dictionary(
        uniqueKeysWithValues: namespaces.map { _, name in
            // A kernel without this namespace would have refused the sandbox.
            (name, (try? KernelFile.link("/proc/self/ns/\(name)")) ?? "")
        })

    private let policy: Policy
    private let cell: Cell
    private let layers: Layers
    private let process: String
    private var differences: [String] = []

    /// Reads everything; answers the differences.
    static func differences(
        policy: Policy, cell: Cell, layers: Layers, jobPid: Int32
    ) throws(Errno) -> [String] {
        var reading = ReadBack(
            policy: policy, cell: cell, layers: layers, process: "/proc/\(jobPid)/")
        try reading.readLimits()
        try reading.readStatus()
        try reading.readNamespaces()
        try reading.readMounts()
        return reading.differences
    }

    private mutating func expect<Value: Equatable>(_ name: String, _ found: Value, _ wanted: Value) {
        if found != wanted { differences.append("\(name) is \(found), not \(wanted)") }
    }

    private mutating func readLimits() throws(Errno) {
        let applied = try cell.cgroup.applied()
        // The kernel counts memory in pages.
        expect("memory limit", applied.memoryBytes / 4096, cell.limits.memoryBytes / 4096)
        expect("swap limit", applied.swapBytes / 4096, cell.limits.swapBytes / 4096)
        expect("pids limit", applied.pids, cell.limits.pids)
        expect("CPU quota", applied.cpuMillicores, cell.limits.cpuMillicores)
        let cgroups = try KernelFile.read(process + "cgroup")
        if !cell.cgroup.contains(processCgroups: cgroups) {
            differences.append("the job is not in its cgroup")
        }
    }

    private mutating func readStatus() throws(Errno) {
        let status = try KernelFile.read(process + "status")
        func field(_ name: String) -> String {
            for line in status.split(separator: "\n") where line.hasPrefix(name + ":") {
                return line.dropFirst(name.count + 1).split(whereSeparator: \.isWhitespace)
                    .joined(separator: " ")
            }
            return "missing"
        }
        let user = "\(cell.hostJobUser)"
        let group = "\(cell.hostJobGroup)"
        expect("Uid", field("Uid"), [user, user, user, user].joined(separator: " "))
        expect("Gid", field("Gid"), [group, group, group, group].joined(separator: " "))
        expect("Groups", field("Groups"), "")
        if layers.has(.noNewPrivs) { expect("NoNewPrivs", field("NoNewPrivs"), "1") }
        if layers.has(.seccomp) { expect("Seccomp", field("Seccomp"), "2") }
        if layers.has(.capabilities) {
            for name in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
                expect(name, field(name), "0000000000000000")
            }
        }
        if layers.has(.affinity) {
            let cpus = PlanMessage.cpus(for: policy.limits, slot: cell.slot)
            expect("allowed CPUs", CPUList.count(field("Cpus_allowed_list")), cpus.count)
        }
    }

    private mutating func readNamespaces() throws(Errno) {
        for (layer, name) in Self.namespaces where layer.map(layers.has) ?? true {
            let found = try KernelFile.link(process + "ns/" + name)
            if found == Self.own[name] {
                differences.append("the \(name) namespace is the daemon's")
            }
        }
    }

    private mutating func readMounts() throws(Errno) {
        let table = MountTable(text: try KernelFile.read(process + "mountinfo"))
        for mount in table.mounts where !mount.propagation.isEmpty {
            differences.append("\(mount.target) propagates: \(mount.propagation)")
        }
        if layers.has(.readOnlyRoot) {
            expect("/", table.top(at: "/")?.options.contains("ro"), true)
        }
        expect("/ nosuid", table.top(at: "/")?.options.contains("nosuid"), true)
        let workspace = table.top(at: "/workspace")
        expect("/workspace", workspace?.type, "tmpfs")
        if layers.has(.workspaceSize) {
            let wanted = "size=\(policy.limits.workspaceBytes / 1024)k"
            let inodes = "nr_inodes=\(policy.limits.workspaceInodes)"
            expect("/workspace \(wanted)", workspace?.superOptions.contains(wanted), true)
            expect("/workspace \(inodes)", workspace?.superOptions.contains(inodes), true)
        }
        expect("/dev/shm", table.top(at: "/dev/shm")?.type, "tmpfs")
        expect("/proc", table.top(at: "/proc")?.type, "proc")
        if layers.has(.procMasks) {
            expect("/proc/sys", table.top(at: "/proc/sys")?.options.contains("ro"), true)
            for path in SyntheticProc.masked where table.top(at: path) == nil {
                differences.append("\(path) is not masked")
            }
        }
        if table.mounts.contains(where: { $0.target.hasPrefix("/sys") }) {
            differences.append("/sys is mounted")
        }
    }
}

/// The kernel's way to write a set of CPUs: `0-2,5`.
enum CPUList {
    /// How many CPUs the text names.
    static func count(_ text: String) -> Int {
        text.split(separator: ",").reduce(0) { sum, part in
            let ends = part.split(separator: "-").compactMap { Int($0) }
            guard let first = ends.first, let last = ends.last else { return sum }
            return sum + last - first + 1
        }
    }
}
