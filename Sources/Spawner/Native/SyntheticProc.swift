// SPDX-License-Identifier: Apache-2.0
internal import CChannel
internal import Glibc
internal import Kernel
internal import SystemPackage

/// What a sandbox's /proc shows instead of the host's own files, and what it does not show at all.
enum SyntheticProc {
    /// A file made once for each launcher.
    struct File: Sendable, Hashable {
        var name: String
        var content: [UInt8]
    }

    /// The most CPUs that a synthetic file is made for; fewer where their text would not fit.
    static let cpusMax = 32

    /// As much as fits into a message beside its head.
    private static let contentLimit = Int(SBX_MESSAGE_MAX) - 256

    /// Below /proc: what tells about the host's hardware, its other users or its kernel's addresses,
    /// and what would show how many CPUs it has. What this kernel does not have is skipped, and so is
    /// what only the host's root may open: no sandbox has his id.
    static let masked: [Masked] = [
        "acpi", "asound", "bootconfig", "buddyinfo", "bus", "cmdline", "config.gz", "diskstats",
        "driver", "fs",
        "interrupts", "irq", "kallsyms", "kcore", "key-users", "keys", "latency_stats", "locks",
        "modules", "partitions", "pressure", "sched_debug", "schedstat", "scsi", "softirqs",
        "swaps", "sysrq-trigger", "timer_list", "vmallocinfo", "vmstat", "zoneinfo",
    ].compactMap(Masked.init)

    /// A file or a directory to hide.
    struct Masked: Sendable, Hashable {
        let path: String
        let isDirectory: Bool

        /// nil when nobody but root could open it, or when it is not there.
        init?(_ name: String) {
            var status = stat()
            path = "/proc/" + name
            guard lstat(path, &status) == 0, status.st_mode & 0o007 != 0 else { return nil }
            isDirectory = status.st_mode & S_IFMT == S_IFDIR
        }
    }

    /// Which synthetic file covers which of /proc's, for a sandbox that sees `cpus` CPUs.
    static func covered(cpus: Int) -> [(name: String, path: String)] {
        let count = min(max(1, cpus), largest)
        return [
            ("cpuinfo.\(count)", "/proc/cpuinfo"), ("stat.\(count)", "/proc/stat"),
            ("loadavg", "/proc/loadavg"),
        ]
    }

    /// The files of `covered`, for every number of CPUs up to the host's; a machine whose CPUs have
    /// much to say of themselves shows fewer.
    static func files(_ stanzas: [String] = cpuStanzas()) -> [File] {
        var files = [File(name: "loadavg", content: Array("0.00 0.00 0.00 1/1 1\n".utf8))]
        for count in 1...min(cpusMax, max(1, stanzas.count)) {
            let info = stanzas.prefix(count).map { hidingTopology($0, cpus: count) }
            let content = Array((info.joined(separator: "\n\n") + "\n\n").utf8)
            if content.count > contentLimit { break }
            files.append(File(name: "cpuinfo.\(count)", content: content))
            files.append(File(name: "stat.\(count)", content: Array(statText(cpus: count).utf8)))
        }
        return files
    }

    /// What a sandbox with `cpus` CPUs in another engine's container needs: its own of these, and its
    /// own names in /etc, over the engine's.
    static func containerFiles(cpus: Int) -> [File] {
        let names = Set(covered(cpus: cpus).map(\.name))
        return all.filter { names.contains($0.name) } + [
            File(
                name: "hosts",
                content: Array("127.0.0.1\tlocalhost sandbox\n::1\tlocalhost sandbox\n".utf8)
            ),
            File(name: "hostname", content: Array("sandbox\n".utf8)),
            File(name: "resolv.conf", content: []),
        ]
    }

    /// Made once for all launchers: what a plan names must be what its launcher has.
    static let all = files()

    /// The most CPUs that there are files for.
    private static let largest = max(1, all.count { $0.name.hasPrefix("cpuinfo.") })

    private static func cpuStanzas() -> [String] {
        // Without the host's file there is one CPU of which nothing is known.
        let text = (try? KernelFile.read("/proc/cpuinfo")) ?? "processor\t: 0"
        var stanzas: [String] = []
        var lines: [Substring] = []
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.isEmpty {
                if !lines.isEmpty { stanzas.append(lines.joined(separator: "\n")) }
                lines = []
            } else {
                lines.append(line)
            }
        }
        if !lines.isEmpty { stanzas.append(lines.joined(separator: "\n")) }
        return stanzas
    }

    /// The number of siblings and cores is the host's number under another name.
    private static func hidingTopology(_ stanza: String, cpus: Int) -> String {
        stanza.split(separator: "\n").map { line in
            line.hasPrefix("siblings") || line.hasPrefix("cpu cores")
                ? line.prefix { $0 != ":" } + ": \(cpus)" : line
        }.joined(separator: "\n")
    }

    private static func statText(cpus: Int) -> String {
        let zeros = " 0 0 0 0 0 0 0 0 0 0\n"
        let lines = (0..<cpus).map { "cpu\($0)" + zeros }.joined()
        return "cpu " + zeros + lines + "intr 0\nctxt 0\nbtime 0\nprocesses 1\nprocs_running 1\n"
            + "procs_blocked 0\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n"
    }
}
