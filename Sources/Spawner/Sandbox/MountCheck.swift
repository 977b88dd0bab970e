// SPDX-License-Identifier: Apache-2.0
internal import Kernel
internal import Policy

/// What a sandbox's mount table must say.
///
/// The table is read once, line by line, in the order in which the mounts were made; of several on
/// one path the last one counts, as it does for the kernel.
///
/// In another engine's container some of that engine's mounts are there too. `/dev`, `/proc`, `/sys`
/// and the attempt's directory are covered by the sandbox's own; what can still be seen must be
/// read-only (`InheritedMounts`).
struct MountCheck {
    /// A line that must be there: its path, its type, and words of its options.
    private struct Requirement {
        var target: String
        var type: String?
        var options: [String] = []
        var superOptions: [String] = []
    }

    private let requirements: [Requirement]
    /// Paths that must be covered by something.
    private let covered: [String]
    private let isInherited: Bool

    /// `isInherited`: whether another engine made the root.
    init(policy: Policy, layers: Layers, isInherited: Bool) {
        var requirements = [
            Requirement(
                target: "/",
                options: layers.has(.readOnlyRoot) ? ["ro", "nosuid"] : ["nosuid"]
            ),
            Requirement(
                target: "/proc",
                type: "proc",
                options: layers.has(.pidNamespace) ? ["nosuid", "nodev", "noexec"] : []
            ),
            Requirement(target: "/dev/shm", type: "tmpfs", options: ["nosuid", "nodev"]),
        ]
        var workspace = Requirement(
            target: "/workspace",
            type: "tmpfs",
            options: ["nosuid", "nodev"]
        )
        if layers.has(.workspaceSize) {
            let inodes = policy.limits.workspaceInodes
            workspace.superOptions = [
                // The kernel rounds up to whole pages.
                "size=\((policy.limits.workspaceBytes + 4095) / 4096 * 4)k",
                "nr_inodes=\(inodes)",
            ]
        }
        requirements.append(workspace)
        if layers.has(.procMasks) {
            requirements.append(Requirement(target: "/proc/sys", options: ["ro"]))
        }
        if isInherited {
            for target in ["/sys", Policy.containerStage] {
                requirements.append(Requirement(target: target, type: "tmpfs", options: ["ro"]))
            }
        }
        self.isInherited = isInherited
        self.requirements = requirements
        covered = layers.has(.procMasks) ? SyntheticProc.masked.map(\.path) : []
    }

    /// The differences, each a sentence.
    func differences(in table: [UInt8]) -> [String] {
        var differences: [String] = []
        var met = [Bool](repeating: false, count: requirements.count)
        var nextCovered = 0
        for line in table.split(separator: UInt8(ascii: "\n")) {
            guard let mount = MountLine(line) else {
                differences.append("a line of the mount table cannot be read")
                continue
            }
            if mount.propagates {
                differences.append("\(mount.targetText) propagates to or from elsewhere")
            }
            if !isInherited, mount.target.starts(with: "/sys".utf8) {
                differences.append("\(mount.targetText) is mounted")
            }
            // init covers them in the list's order.
            if nextCovered < covered.count, mount.target.elementsEqual(covered[nextCovered].utf8) {
                nextCovered += 1
            }
            for (index, requirement) in requirements.enumerated()
            where mount.target.elementsEqual(requirement.target.utf8) {
                met[index] = Self.meets(mount, requirement)
            }
        }
        for (index, requirement) in requirements.enumerated() where !met[index] {
            let wanted = requirement.options + requirement.superOptions
            differences.append(
                "\(requirement.target) is not mounted as \(requirement.type ?? "it should") "
                    + wanted.joined(separator: ",")
            )
        }
        if nextCovered < covered.count {
            differences.append("\(covered[nextCovered]) is not masked")
        }
        return differences + (isInherited ? InheritedMounts.differences(in: table) : [])
    }

    private static func meets(_ mount: MountLine, _ requirement: Requirement) -> Bool {
        requirement.type.map { mount.type.elementsEqual($0.utf8) } ?? true
            && requirement.options.allSatisfy { MountLine.has($0, in: mount.options) }
            && requirement.superOptions.allSatisfy { MountLine.has($0, in: mount.superOptions) }
    }
}

/// One line of /proc/PID/mountinfo, as bytes (proc_pid_mountinfo(5)).
struct MountLine {
    let target: ArraySlice<UInt8>
    let options: ArraySlice<UInt8>
    let type: ArraySlice<UInt8>
    let superOptions: ArraySlice<UInt8>
    /// Whether it has a `shared:`, `master:` or `propagate_from:` field.
    let propagates: Bool

    init?(_ line: ArraySlice<UInt8>) {
        let words = line.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        guard words.count >= 10,
            let dash = words[6...].firstIndex(where: { $0.elementsEqual([45]) }),
            words.count > dash + 3
        else { return nil }
        target = words[4]
        options = words[5]
        type = words[dash + 1]
        superOptions = words[dash + 3]
        propagates = dash > 6
    }

    /// The path for a person.
    var targetText: String { String(decoding: target, as: UTF8.self) }

    /// Whether a list separated by commas has this word.
    static func has(_ word: String, in list: ArraySlice<UInt8>) -> Bool {
        list.split(separator: UInt8(ascii: ",")).contains { $0.elementsEqual(word.utf8) }
    }
}
