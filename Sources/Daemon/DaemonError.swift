// SPDX-License-Identifier: Apache-2.0
internal import Images
internal import Kernel
internal import Policy
internal import Spawner
internal import SystemPackage

/// Why the daemon does not start.
enum DaemonError: Error, CustomStringConvertible {
    case database(String)
    case isRoot
    case socketPathTooLong(String, bytes: Int)
    case alreadyRunning(state: String)
    case socketInUse(String)
    case host(doing: String, Errno)
    case noInitProgram(String, Errno)
    case profiles(ProfileError)
    case filter(profile: String, SeccompError)
    case images(ImageError)
    case cgroups(CgroupError)
    case engine(SpawnError)

    var description: String {
        switch self {
        case .database(let why): "the database: \(why)"
        case .isRoot:
            """
            it refuses to run as root: a mistake of its own would then be the machine's. \
            Run 'sudo sandboxd setup' once, then start it as the user 'sandboxd'
            """
        case .socketPathTooLong(let path, let bytes):
            """
            the socket's path is \(bytes) bytes long, and the kernel takes 107: give a shorter \
            one with --socket (\(path))
            """
        case .alreadyRunning(let state):
            "another daemon uses the state directory \(state): stop it, or give --state another one"
        case .socketInUse(let path):
            "something listens on \(path) already: stop it, or give --socket another path"
        case .host(let doing, let code): "\(doing): \(code)"
        case .noInitProgram(let path, let code):
            "\(path): \(code) (build it with 'make build', or give --init-program)"
        case .profiles(let error): "\(error)"
        case .filter(let profile, let error): "profile '\(profile)': \(error)"
        case .images(let error): "\(error)"
        case .cgroups(let error): "\(error)"
        case .engine(let error): "\(error)"
        }
    }
}
