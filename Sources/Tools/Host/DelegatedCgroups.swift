// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Kernel
internal import SystemPackage

/// The cgroup directories that the daemon's user must own.
struct DelegatedCgroups {
    /// The controllers that caps and meters need.
    static let controllersV1 = ["memory", "pids", "cpu", "cpuacct"]
    static let controllersV2 = ["cpu", "memory", "pids"]

    /// One directory and what in it changes hands. Its limits stay with root.
    struct Directory {
        let path: String
        let files: [String]

        /// The directory itself and the files.
        var paths: [String] { [path] + files.map { path + "/" + $0 } }
    }

    /// A v1 directory for each hierarchy; several controllers can share one.
    ///
    /// - Returns: nil when a controller has no hierarchy; `missing` says which.
    static func v1(_ mounts: MountTable, missing: (String) -> Void) -> [Directory]? {
        var paths: [String] = []
        for controller in controllersV1 {
            guard let mount = mounts.cgroupV1(controller: controller) else {
                missing(controller)
                return nil
            }
            let path = mount + "/sandboxd"
            if !paths.contains(path) { paths.append(path) }
        }
        return paths.map { Directory(path: $0, files: ["cgroup.procs", "tasks"]) }
    }

    /// The v2 directory for machines without systemd. Daemons live in directories below it.
    static func v2(_ mount: String) -> Directory {
        Directory(
            path: mount + "/sandboxd",
            files: ["cgroup.procs", "cgroup.threads", "cgroup.subtree_control"]
        )
    }

    /// Whether systemd is process 1 (sd_booted(3)).
    static var isSystemdRunning: Bool { access("/run/systemd/system", F_OK) == 0 }

    /// The owner of a path; a link is not followed.
    static func owner(_ path: String) throws(Errno) -> UInt32 {
        var status = stat()
        _ = try kernel { lstat(path, &status) }
        return status.st_uid
    }
}
