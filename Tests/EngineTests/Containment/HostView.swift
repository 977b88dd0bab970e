// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Looks at the host, each as text that can be held against the same look later.
enum HostView {
    /// A shell's standard output.
    private static func shell(_ script: String, _ arguments: [String] = []) throws -> String {
        try Program.run(["sh", "-c", script, "sh"] + arguments).text
    }

    /// Path, type, mode, size and time of everything in a tree, and the content of a hundred of
    /// its files, always the same ones for one `seed`.
    static func tree(_ path: String, seed: String) throws -> String {
        try shell(
            """
            find "$1" -printf '%p %y %m %s %T@\\n' | sort | sha256sum
            find "$1" -type f | sort | awk -v seed="$2" '
                BEGIN { srand(seed) } { print rand() " " $0 }' | sort | head -n 100 |
                cut -d ' ' -f 2- | tr '\\n' '\\0' | xargs -0 sha256sum | sha256sum
            """,
            [path, seed]
        )
    }

    /// The digests of files, links followed.
    static func digests(_ paths: [String]) throws -> String {
        try Program.run(["sha256sum"] + paths).text
    }

    /// The kernel's settings, but for those that change by themselves.
    static func settings() throws -> Set<String> {
        let text = try shell(
            """
            find /proc/sys -type f -readable ! -path '/proc/sys/kernel/random/*' ! -name '*-nr' \
                ! -name '*-state' ! -name ns_last_pid ! -path '/proc/sys/fs/quota/*' \
                ! -path '/proc/sys/kernel/pty/nr' ! -name '*_count' ! -name 'cad_pid' \
                -exec grep -sH '' {} +
            """
        )
        return Set(text.split(separator: "\n").map(String.init))
    }

    /// Host name, domain name, personality.
    static func identity() -> String {
        ["kernel/hostname", "kernel/domainname"].map {
            ProcessTable.read("/proc/sys/" + $0) ?? ""
        }.joined() + (ProcessTable.read("/proc/self/personality") ?? "")
    }

    /// Nanoseconds between the clock that can be set and the one that cannot.
    static func clockOffset() -> Int {
        var real = timespec()
        var boot = timespec()
        clock_gettime(CLOCK_REALTIME, &real)
        clock_gettime(CLOCK_BOOTTIME, &boot)
        return (real.tv_sec - boot.tv_sec) * 1_000_000_000 + real.tv_nsec - boot.tv_nsec
    }

    /// Names and sizes of what the sandboxes' users, and the daemon's, have in the places that
    /// everybody can write to, and of what is in the daemon's own.
    static func files(below state: String) throws -> Set<String> {
        let ids = Host.subordinateIDs
        let text = try shell(
            """
            find /tmp /var/tmp /dev/shm /dev/mqueue -xdev -maxdepth 2 -uid +\(Int(ids.lowerBound) - 1) \
                -uid -\(ids.upperBound) -printf '%p %s\\n' 2>/dev/null
            find "$1" -xdev ! -path '*/artifacts/*' -type f -printf '%p %s\\n' 2>/dev/null; true
            """,
            [state]
        )
        return Set(text.split(separator: "\n").map(String.init))
    }

    /// Free bytes of the file system of /dev/shm.
    static func freeSharedMemory() -> Int {
        let attributes = try? FileManager.default.attributesOfFileSystem(forPath: "/dev/shm")
        // Where there is none, there is none to fill.
        return (attributes?[.systemFreeSize] as? NSNumber)?.intValue ?? 0
    }

    /// System V objects by kind and id, and the names of POSIX ones.
    static func interprocess() -> Set<String> {
        var found: Set<String> = []
        for kind in ["msg", "sem", "shm"] {
            for line in (ProcessTable.read("/proc/sysvipc/" + kind) ?? "").split(separator: "\n")
                .dropFirst()
            {
                let key = line.split(separator: " ").prefix(2).joined(separator: " ")
                found.insert("\(kind) \(key)")
            }
        }
        for place in ["/dev/shm", "/dev/mqueue"] {
            found.formUnion(ProcessTable.names(place).map { place + "/" + $0 })
        }
        return found
    }

    /// The namespaces of a daemon and its descendants.
    static func namespaces(of daemon: pid_t) -> Set<String> {
        let family = ProcessTable().descendants(of: daemon).filter { !$0.isDead }.map(\.pid)
        return family.reduce(into: ProcessTable.namespaces(daemon)) {
            $0.formUnion(ProcessTable.namespaces($1))
        }
    }

    /// The namespaces of all processes that descend from no daemon. (Numbers of namespaces come
    /// round quickly, so another daemon's may have those of one that is gone.)
    static func namespacesOfStrangers() -> Set<String> {
        let table = ProcessTable()
        let daemons = table.entries.values.filter { $0.name.hasPrefix("sandboxd-daemon") }
        let families = daemons.reduce(into: Set<pid_t>()) {
            $0.formUnion(table.descendants(of: $1.pid).map(\.pid))
        }
        // One that nobody has reaped yet is dead all the same.
        let strangers = table.entries.values.filter { !$0.isDead && !families.contains($0.pid) }
        return strangers.reduce(into: Set<String>()) {
            $0.formUnion(ProcessTable.namespaces($1.pid))
        }
    }

    /// Processes of jobs: what has the job's half of a sandbox's two ids, which go in turns.
    static func jobs(of daemon: pid_t) -> Set<ProcessTable.Entry> {
        let first = Host.subordinateIDs.lowerBound
        let table = ProcessTable()
        let family = Set(table.descendants(of: daemon).map(\.pid))
        let daemons = table.entries.values.filter { $0.name.hasPrefix("sandboxd-daemon") }
        let others = daemons.filter { $0.pid != daemon }
            .reduce(into: Set<pid_t>()) { $0.formUnion(table.descendants(of: $1.pid).map(\.pid)) }
        return Set(
            table.entries.values.filter { entry in
                guard !entry.isDead, !others.contains(entry.pid),
                    let user = ProcessTable.user(entry.pid),
                    Host.subordinateIDs.contains(user)
                else { return false }
                // One that is nobody's descendant has escaped, whatever its id.
                return !family.contains(entry.pid) || (user - first) % 2 == 1
            }
        )
    }
}
