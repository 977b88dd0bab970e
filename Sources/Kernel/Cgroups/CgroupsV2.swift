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
