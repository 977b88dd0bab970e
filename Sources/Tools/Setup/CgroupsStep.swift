// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Kernel
internal import SystemPackage

/// A place in the cgroup hierarchies where the daemon may make cgroups of its own.
///
/// The files with a directory's own limits stay root's: the daemon cannot raise what root caps it
/// to.
struct CgroupsStep: SetupStep {
    func apply(_ setup: Setup) throws(SetupError) {
        let mounts: MountTable
        do throws(Errno) { mounts = try MountTable() } catch {
            throw .host(doing: "reading /proc/self/mountinfo", error)
        }
        guard let mount = mounts.cgroupV2 else {
            try applyV1(mounts, setup)
            return
        }
        if DelegatedCgroups.isSystemdRunning {
            setup.found("cgroup v2: systemd hands the daemon its cgroup (Delegate= in the unit)")
        } else {
            try applyV2(mount, setup)
        }
    }

    private func applyV1(_ mounts: MountTable, _ setup: Setup) throws(SetupError) {
        var missing = "memory"
        guard let directories = DelegatedCgroups.v1(mounts, missing: { missing = $0 }) else {
            throw .noController(missing)
        }
        for directory in directories { try delegate(directory, setup) }
    }

    private func applyV2(_ mount: String, _ setup: Setup) throws(SetupError) {
        let directory = DelegatedCgroups.v2(mount)
        try enable(in: mount, setup)
        try delegate(directory, setup)
        // Daemons live one level further down, for a cgroup with processes hands nothing on.
        try enable(in: directory.path, setup)
    }

    /// Makes the directory and gives it away.
    private func delegate(
        _ directory: DelegatedCgroups.Directory,
        _ setup: Setup
    ) throws(SetupError) {
        guard access(directory.path, F_OK) == 0 else {
            try setup.change("make cgroup \(directory.path) and give it to \(setup.user)") {
                () throws(SetupError) in
                try setup.host("making \(directory.path)") { () throws(Errno) in
                    _ = try kernel { mkdir(directory.path, 0o755) }
                }
                for path in directory.paths { try setup.give(path) }
            }
            return
        }
        let owners = directory.paths.map { path in
            // One that cannot be looked at is not the user's.
            try? DelegatedCgroups.owner(path)
        }
        if owners.allSatisfy({ $0 != nil && $0 == setup.account?.uid }) {
            setup.found("cgroup \(directory.path) belongs to \(setup.user)")
            return
        }
        try setup.change("give cgroup \(directory.path) to \(setup.user)") {
            () throws(SetupError) in
            for path in directory.paths { try setup.give(path) }
        }
    }

    /// Lets a v2 cgroup's children have the controllers.
    private func enable(in cgroup: String, _ setup: Setup) throws(SetupError) {
        let file = cgroup + "/cgroup.subtree_control"
        // In a dry run the cgroup may not be there yet.
        let words = (try? KernelFile.read(file))?.split(whereSeparator: \.isWhitespace) ?? []
        let missing = DelegatedCgroups.controllersV2.filter { !words.contains(Substring($0)) }
        if missing.isEmpty {
            setup.found("cgroup \(cgroup) hands on cpu, memory and pids")
            return
        }
        let names = missing.joined(separator: ", ")
        try setup.change("let cgroup \(cgroup) hand on \(names)") { () throws(SetupError) in
            try setup.host("writing \(file)") { () throws(Errno) in
                try KernelFile.write(file, missing.map { "+" + $0 }.joined(separator: " "))
            }
        }
    }
}
