// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Kernel
internal import SystemPackage

/// Where the daemon keeps things.
struct DirectoriesStep: SetupStep {
    static let home = "/var/lib/sandboxd"
    static let state = home + "/state"
    static let images = home + "/images"
    static let runtime = "/run/sandboxd"

    func apply(_ setup: Setup) throws(SetupError) {
        try ensure(Self.home, mode: 0o755, belongsToUser: false, setup)
        try ensure(Self.state, mode: 0o700, belongsToUser: true, setup)
        try ensure(Self.images, mode: 0o755, belongsToUser: true, setup)
        try ensure(Self.runtime, mode: 0o750, belongsToUser: true, setup)
    }

    /// The parents of all of them are root's, so nobody can put a link in a directory's place.
    private func ensure(
        _ path: String,
        mode: mode_t,
        belongsToUser: Bool,
        _ setup: Setup
    ) throws(SetupError) {
        let owner = belongsToUser ? setup.user : "root"
        let wish = "directory \(path) (\(owner), mode 0\(String(mode, radix: 8)))"
        let status = try look(at: path)
        guard let status else {
            try setup.change("make \(wish)") { () throws(SetupError) in
                try setup.host("making \(path)") { () throws(Errno) in
                    _ = try kernel { mkdir(path, 0o700) }
                }
                if belongsToUser { try setup.give(path) }
                try setMode(of: path, mode, setup)
            }
            return
        }
        guard status.st_mode & S_IFMT == S_IFDIR else { throw .noDirectory(path) }
        let wantedOwner = belongsToUser ? setup.account?.uid : 0
        let hasOwner = status.st_uid == wantedOwner
        let hasMode = status.st_mode & 0o7777 == mode
        if hasOwner, hasMode {
            setup.found(wish)
            return
        }
        try setup.change("correct \(wish)") { () throws(SetupError) in
            if belongsToUser {
                try setup.give(path)
            } else if !hasOwner {
                try setup.host("giving \(path) to root") { () throws(Errno) in
                    _ = try kernel { lchown(path, 0, 0) }
                }
            }
            try setMode(of: path, mode, setup)
        }
    }

    private func setMode(of path: String, _ mode: mode_t, _ setup: Setup) throws(SetupError) {
        try setup.host("setting the mode of \(path)") { () throws(Errno) in
            _ = try kernel { chmod(path, mode) }
        }
    }

    private func look(at path: String) throws(SetupError) -> stat? {
        var status = stat()
        do throws(Errno) {
            _ = try kernel { lstat(path, &status) }
            return status
        } catch .noSuchFileOrDirectory {
            return nil
        } catch {
            throw .host(doing: "looking at \(path)", error)
        }
    }
}
