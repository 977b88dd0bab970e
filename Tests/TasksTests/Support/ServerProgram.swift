// SPDX-License-Identifier: Apache-2.0
import Glibc
import Kernel
import SystemPackage

/// Programs that tests of a broken server start: PostgreSQL's own, and a few of the system's.
///
/// Each dies with the thread that started it, so they are started on the thread of an event loop.
enum ServerProgram {
    /// PostgreSQL's programs; nil outside of scripts/with-postgres.
    static let directory = getenv("SANDBOXD_TEST_POSTGRES").map { String(cString: $0) }

    /// The user and group that PostgreSQL runs as.
    static let owner: (user: uid_t, group: gid_t) = {
        let name = getenv("SANDBOXD_USER").map { String(cString: $0) } ?? "sandboxd"
        guard geteuid() == 0, let entry = getpwnam(name) else { return (geteuid(), getegid()) }
        return (entry.pointee.pw_uid, entry.pointee.pw_gid)
    }()

    /// What makes a command one of that user's. PostgreSQL tidies up after itself at a SIGQUIT.
    static var asOwner: [String] {
        let dying = ["setpriv", "--pdeathsig", "QUIT"]
        guard geteuid() == 0 else { return dying }
        return dying + [
            "--reuid", "\(owner.user)", "--regid", "\(owner.group)", "--clear-groups",
            "--inh-caps=-all",
        ]
    }

    /// Starts a command, looked for in the usual places, with `output` for what it says.
    static func start(_ command: [String], output: Descriptor) throws(Errno) -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, output.number, 1)
        posix_spawn_file_actions_adddup2(&actions, output.number, 2)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // The loop's thread has all signals blocked, which a child would inherit.
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        var pid: pid_t = 0
        let error = ArgumentVector.with(command) { words in
            ArgumentVector.with(["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"]) { variables in
                posix_spawnp(&pid, command[0], &actions, &attributes, words, variables)
            }
        }
        if error != 0 { throw Errno(rawValue: error) }
        return pid
    }

    /// Waits for the end of one; answers its wait status.
    @discardableResult
    static func wait(for pid: pid_t) -> Int32 {
        var status: Int32 = 0
        while waitpid(pid, &status, 0) == -1, errno == EINTR {}
        return status
    }

    /// Waits until a killed process that is not our child has let go of all it had.
    static func waitUntilDead(_ pid: pid_t) {
        while let state = stat(of: pid)?.state, state != "Z" { usleep(1000) }
    }

    /// The children of a process, by the table of all.
    static func children(of parent: pid_t) -> [pid_t] {
        guard let table = opendir("/proc") else { return [] }
        defer { closedir(table) }
        var children: [pid_t] = []
        while let entry = readdir(table) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if let pid = pid_t(name), stat(of: pid)?.parent == parent { children.append(pid) }
        }
        return children
    }

    /// Of /proc/PID/stat: PID (NAME) STATE PARENT …, where the name may hold anything.
    private static func stat(of pid: pid_t) -> (state: Substring, parent: pid_t?)? {
        guard let text = try? KernelFile.read("/proc/\(pid)/stat"),
            let end = text.lastIndex(of: ")")
        else { return nil }
        let words = text[text.index(after: end)...].split(separator: " ")
        return words.count > 1 ? (words[0], pid_t(words[1])) : nil
    }
}
