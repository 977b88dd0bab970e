// SPDX-License-Identifier: Apache-2.0
import Foundation

/// The cgroup directories of attempts, looked for from the host.
enum CgroupFiles {
    /// The directories that daemons keep attempts in, in every hierarchy.
    private static func nodes() -> [String] {
        let root = "/sys/fs/cgroup"
        let hierarchies = ["memory", "pids", "cpu", "cpuacct"].map { "\(root)/\($0)/sandboxd" }
        return hierarchies.flatMap { parent in
            ProcessTable.names(parent).map { parent + "/" + $0 }
        } + unified()
    }

    /// On v2 a daemon keeps them in `runs`, in whatever cgroup it was given.
    private static func unified() -> [String] {
        guard Host.hasUnifiedCgroups else { return [] }
        let root = "/sys/fs/cgroup"
        return (FileManager.default.subpaths(atPath: root) ?? [])
            .filter { $0.hasSuffix("/runs") }.map { root + "/" + $0 }
    }

    /// Every directory that carries the attempt's id.
    static func directories(of attempt: String) -> [String] {
        nodes().map { $0 + "/" + attempt }.filter { access($0, F_OK) == 0 }
    }

    /// Processes of the host that are in a cgroup of the attempt.
    static func processes(of attempt: String) -> [pid_t] {
        ProcessTable().entries.values.filter { entry in
            !entry.isDead
                && (ProcessTable.read("/proc/\(entry.pid)/cgroup") ?? "").contains(attempt)
        }.map(\.pid)
    }
}
