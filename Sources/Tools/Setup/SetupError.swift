// SPDX-License-Identifier: Apache-2.0
internal import SystemPackage

/// Why a machine could not be set up. What was done before it stays, and is found the next time.
enum SetupError: Error, CustomStringConvertible {
    /// A kernel call was refused.
    case host(doing: String, Errno)
    /// A program of the host's is not installed.
    case noTool(String, package: String)
    /// A program of the host's failed.
    case tool(String, status: Int32, output: String)
    /// The user that was there, or was just made, is not.
    case noUser(String)
    /// Two users share subordinate ids.
    case sharedIDs(file: String, user: String, other: String)
    /// No range of ids is free.
    case noFreeIDs
    /// Something else is where a directory should be.
    case noDirectory(String)
    /// The machine meters no such thing.
    case noController(String)
    /// A file that comes with the program is missing.
    case notInstalled(String)

    var description: String {
        switch self {
        case .host(let doing, let code): "\(doing): \(code)"
        case .noTool(let name, let package):
            "the program '\(name)' is not installed: run 'apt-get install \(package)'"
        case .tool(let name, let status, let output):
            "\(name) failed with status \(status): \(output)"
        case .noUser(let name): "there is no user '\(name)'"
        case .sharedIDs(let file, let user, let other):
            """
            \(file): '\(user)' and '\(other)' share ids, so that each could enter the other's \
            containers: take one of the lines out, and run this again
            """
        case .noFreeIDs:
            """
            no 65536 ids in a row are free below 4294901760: make room in /etc/subuid and \
            /etc/subgid
            """
        case .noDirectory(let path):
            "\(path) is there and is no directory: move it away, and run this again"
        case .noController(let name):
            """
            the kernel has no cgroup controller '\(name)' mounted, neither v1 nor v2: without it \
            nothing can be capped
            """
        case .notInstalled(let name):
            """
            deploy/\(name) is neither in a directory above this program nor in share/sandboxd: \
            run this from the checkout, or after 'make install'
            """
        }
    }
}
