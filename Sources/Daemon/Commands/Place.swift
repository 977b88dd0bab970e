// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Kernel

/// Where things are on this machine.
struct Place {
    var state: String
    var profiles: String
    var initProgram: String
    var memoryBytes: UInt64

    static func environment(_ name: String) -> String? {
        guard let value = getenv(name), value.pointee != 0 else { return nil }
        return String(cString: value)
    }

    static func find() -> Place {
        // A process can always read its own link; without /proc nothing here works anyway.
        let program = (try? KernelFile.link("/proc/self/exe")) ?? "/usr/bin/sandboxd-daemon"
        let directory = String(program[..<(program.lastIndex(of: "/") ?? program.startIndex)])
        return Place(
            state: stateDirectory(),
            profiles: profileDirectory(beside: directory),
            initProgram: directory + "/sandboxd-init",
            memoryBytes: memoryBytes()
        )
    }

    private static func stateDirectory() -> String {
        let shared = "/var/lib/sandboxd/state"
        if access(shared, W_OK) == 0 { return shared }
        let home = environment("HOME") ?? "/tmp"
        return (environment("XDG_STATE_HOME") ?? home + "/.local/state") + "/sandboxd"
    }

    /// `profiles/` beside the program, in a directory above it (a build directory in a checkout),
    /// or the system's.
    private static func profileDirectory(beside directory: String) -> String {
        var above = directory[...]
        while !above.isEmpty {
            let candidate = above + "/profiles"
            if access(candidate + "/code.yaml", R_OK) == 0 { return String(candidate) }
            above = above[..<(above.lastIndex(of: "/") ?? above.startIndex)]
        }
        return "/etc/sandboxd/profiles"
    }

    private static func memoryBytes() -> UInt64 {
        UInt64(sysconf(Int32(_SC_PHYS_PAGES))) * UInt64(sysconf(Int32(_SC_PAGESIZE)))
    }
}
