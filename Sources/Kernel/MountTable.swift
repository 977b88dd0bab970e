// SPDX-License-Identifier: Apache-2.0
package import SystemPackage

/// One line of /proc/PID/mountinfo (proc_pid_mountinfo(5)).
package struct Mount: Sendable, Hashable {
    /// Where in its file system the mount begins.
    package var root: String
    /// Where it is seen.
    package var target: String
    /// The mount's own options: `ro`, `nosuid`, …
    package var options: [String]
    /// `shared:N`, `master:N`, …: ways in which mounts propagate. Empty: none.
    package var propagation: [String]
    /// The file system's type.
    package var type: String
    /// The file system's options: `size=262144k`, …
    package var superOptions: [String]

    /// Reads one line; nil when it is none.
    init?(line: Substring) {
        let words = line.split(separator: " ", omittingEmptySubsequences: false)
        guard words.count >= 10, let dash = words.firstIndex(of: "-"), dash >= 6,
            words.count > dash + 3
        else { return nil }
        root = String(words[3])
        target = String(words[4])
        options = words[5].split(separator: ",").map(String.init)
        propagation = words[6..<dash].map(String.init)
        type = String(words[dash + 1])
        superOptions = words[dash + 3].split(separator: ",").map(String.init)
    }
}

/// The mounts that a process sees, in the order in which they were made.
package struct MountTable: Sendable {
    /// All of them; a later one covers an earlier one of the same target.
    package let mounts: [Mount]

    /// Reads the table of a process: "self", or a process id.
    package init(of process: String = "self") throws(Errno) {
        self.init(text: try KernelFile.read("/proc/\(process)/mountinfo"))
    }

    /// Reads a mountinfo file's text.
    package init(text: String) {
        mounts = text.split(separator: "\n").compactMap(Mount.init(line:))
    }

    /// The topmost mount at exactly this path.
    package func top(at target: String) -> Mount? {
        mounts.last { $0.target == target }
    }

    /// Where the v1 hierarchy with this controller is mounted.
    package func cgroupV1(controller: String) -> String? {
        mounts.first { $0.type == "cgroup" && $0.superOptions.contains(controller) }?.target
    }

    /// Where v2 is mounted, when it carries the controllers (not the `unified` side of a hybrid).
    package var cgroupV2: String? {
        guard cgroupV1(controller: "memory") == nil else { return nil }
        return mounts.first { $0.type == "cgroup2" }?.target
    }
}
