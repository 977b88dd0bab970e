// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Kernel
internal import SystemPackage

/// Where the files of this program are: beside it, in the checkout around it, or installed.
struct Installation {
    /// The directory that the running program lies in.
    let directory: String

    init() throws(Errno) {
        let program = try KernelFile.link("/proc/self/exe")
        directory = program.lastIndex(of: "/").map { String(program[..<$0]) } ?? "."
    }

    /// What `sandboxd serve` executes.
    var daemon: String { directory + "/sandboxd-daemon" }

    /// Process 1 of every sandbox.
    var initProgram: String { directory + "/sandboxd-init" }

    /// The directory with the profiles: the same that the daemon takes when it is not told.
    var profiles: String {
        for ancestor in ancestors where access(ancestor + "/profiles/code.yaml", R_OK) == 0 {
            return ancestor + "/profiles"
        }
        return "/etc/sandboxd/profiles"
    }

    /// A file of `deploy/`; nil when it is nowhere.
    func deployed(_ name: String) -> String? {
        let candidates =
            ancestors.map { $0 + "/deploy/" + name }
            + [directory + "/../share/sandboxd/deploy/" + name]
        return candidates.first { access($0, R_OK) == 0 }
    }

    /// The program's directory and those above it, the nearest first. A checkout is one of them.
    private var ancestors: [String] {
        var ancestors: [String] = []
        var above = directory[...]
        while !above.isEmpty {
            ancestors.append(String(above))
            above = above[..<(above.lastIndex(of: "/") ?? above.startIndex)]
        }
        return ancestors
    }
}
