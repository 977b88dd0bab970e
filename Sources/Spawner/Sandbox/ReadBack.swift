// SPDX-License-Identifier: Apache-2.0
internal import Kernel
internal import Policy
internal import SystemPackage

/// Compares what the kernel applied with what the policy says, before the job's first instruction.
///
/// Everything is read from outside, from the job's own process, which is confined and waits at the
/// gate. A difference is a sentence; none is the only way through. It runs once for every sandbox,
/// so it works on the kernel's bytes and makes words only for what differs.
struct ReadBack {
    private static let namespaces: [(layer: Layer?, name: String)] = [
        (nil, "user"), (nil, "mnt"), (nil, "cgroup"), (.pidNamespace, "pid"),
        (.networkNamespace, "net"), (.ipcNamespace, "ipc"), (.utsNamespace, "uts"),
    ]

    /// The daemon's own namespaces: no sandbox is in any of them.
    private static let own: [String: String] = Dictionary(
        uniqueKeysWithValues: namespaces.map { _, name in
            // A kernel without this namespace would have refused the sandbox.
            (name, (try? KernelFile.link("/proc/self/ns/\(name)")) ?? "")
        }
    )

    private let policy: Policy
    private let limits: CgroupLimits
    private let cell: Cell
    private let layers: Layers
    private let process: String
    private var differences: [String] = []

    /// Reads everything; answers the differences.
    static func differences(
        policy: Policy,
        limits: CgroupLimits,
        cell: Cell,
        layers: Layers,
        jobPid: Int32
    ) throws(Errno) -> [String] {
        var reading = ReadBack(
            policy: policy,
            limits: limits,
            cell: cell,
            layers: layers,
            process: "/proc/\(jobPid)/"
        )
        try reading.readLimits()
        try reading.readStatus()
        try reading.readNamespaces()
        try reading.readMounts()
        return reading.differences
    }

    private mutating func expect<Value: Equatable>(
        _ name: String,
        _ found: Value,
        _ wanted: Value
    ) {
        if found != wanted { differences.append("\(name) is \(found), not \(wanted)") }
    }

    private mutating func readLimits() throws(Errno) {
        let applied = try cell.cgroup.applied()
        // The kernel counts memory in pages.
        expect("memory limit", applied.memoryBytes / 4096, limits.memoryBytes / 4096)
        expect("swap limit", applied.swapBytes / 4096, limits.swapBytes / 4096)
        expect("pids limit", applied.pids, limits.pids)
        expect("CPU quota", applied.cpuMillicores, limits.cpuMillicores)
        let cgroups = try KernelFile.bytes(process + "cgroup")
        if !cell.cgroup.contains(processCgroups: cgroups) {
            differences.append("the job is not in its cgroup")
        }
    }

    private mutating func readStatus() throws(Errno) {
        let status = try KernelFile.bytes(process + "status")
        let (user, group) = (cell.hostJobUser, cell.hostJobGroup)
        var wanted = [
            ("Uid", "\(user)\t\(user)\t\(user)\t\(user)"),
            ("Gid", "\(group)\t\(group)\t\(group)\t\(group)"),
            ("Groups", " "),
        ]
        if layers.has(.noNewPrivs) { wanted.append(("NoNewPrivs", "1")) }
        if layers.has(.seccomp) { wanted.append(("Seccomp", "2")) }
        if layers.has(.capabilities) {
            for name in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
                wanted.append((name, "0000000000000000"))
            }
        }
        if layers.has(.affinity) {
            let cpus = PlanMessage.cpus(for: policy.limits, slot: cell.slot)
            wanted.append(("Cpus_allowed_list", CPUList.text(cpus)))
        }
        for (name, value) in wanted {
            guard !KernelFile.contains(status, "\n\(name):\t\(value)\n") else { continue }
            differences.append("\(name) is not '\(value)' but '\(Self.field(name, of: status))'")
        }
    }

    private static func field(_ name: String, of status: [UInt8]) -> String {
        let text = String(decoding: status, as: UTF8.self)
        let line = text.split(separator: "\n").first { $0.hasPrefix(name + ":") } ?? "missing"
        return String(line.dropFirst(name.count + 1))
    }

    private mutating func readNamespaces() throws(Errno) {
        for (layer, name) in Self.namespaces where layer.map(layers.has) ?? true {
            if try KernelFile.link(process + "ns/" + name) == Self.own[name] {
                differences.append("the \(name) namespace is the daemon's")
            }
        }
    }

    private mutating func readMounts() throws(Errno) {
        let mounts = MountCheck(
            policy: policy,
            layers: layers,
            isInherited: cell.container != nil
        )
        differences += mounts.differences(in: try KernelFile.bytes(process + "mountinfo"))
    }
}

/// The kernel's way to write a set of CPUs: `0-2,5`.
enum CPUList {
    /// The text for these CPUs, given in ascending order.
    static func text(_ cpus: [Int]) -> String {
        var ranges: [(first: Int, last: Int)] = []
        for cpu in cpus {
            if let range = ranges.last, range.last == cpu - 1 {
                ranges[ranges.count - 1].last = cpu
            } else {
                ranges.append((cpu, cpu))
            }
        }
        return ranges.map { $0.first == $0.last ? "\($0.first)" : "\($0.first)-\($0.last)" }
            .joined(separator: ",")
    }
}

extension CgroupLimits {
    /// A policy's limits as the cgroup's, in which we have tasks too.
    init(_ limits: Limits, ownTasks: UInt32) {
        self.init(
            memoryBytes: limits.memoryBytes,
            swapBytes: limits.swapBytes,
            pids: limits.pids + ownTasks,
            cpuMillicores: limits.cpuMillicores
        )
    }
}
