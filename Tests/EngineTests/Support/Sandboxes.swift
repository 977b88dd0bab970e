// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Sandboxes, looked for from the host.
///
/// The API does not say which process or cgroup an attempt has, so a test that wants to know gives
/// its job a mark in the environment, and root looks for it.
enum Sandboxes {
    /// A mark that no other run has.
    static func mark() -> String { "mark-" + UUID().uuidString }

    /// Living processes whose environment holds the mark, however deep they forked.
    static func processes(marked mark: String) -> [pid_t] {
        ProcessTable.names("/proc").compactMap { pid_t($0) }.filter { pid in
            (ProcessTable.read("/proc/\(pid)/environ") ?? "").contains(mark)
                && ProcessTable.entry(pid)?.isDead == false
        }
    }

    /// The cgroup directories that cap a process: one on v2, one a hierarchy on v1.
    static func cgroups(of pid: pid_t) -> [String] {
        let root = "/sys/fs/cgroup"
        let lines = (ProcessTable.read("/proc/\(pid)/cgroup") ?? "").split(separator: "\n")
        return lines.compactMap { line in
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { return nil }
            if Host.hasUnifiedCgroups { return parts[1].isEmpty ? root + parts[2] : nil }
            let controllers = parts[1].split(separator: ",")
            let caps: Set<Substring> = ["memory", "pids", "cpu", "cpuacct"]
            return controllers.contains { caps.contains($0) }
                ? "\(root)/\(parts[1])\(parts[2])" : nil
        }
    }

    /// All processes of a cgroup directory.
    static func members(of cgroup: String) -> [pid_t] {
        (ProcessTable.read(cgroup + "/cgroup.procs") ?? "").split(separator: "\n")
            .compactMap { pid_t($0) }
    }
}
