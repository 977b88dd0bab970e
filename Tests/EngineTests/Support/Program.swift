// SPDX-License-Identifier: Apache-2.0
import Foundation
import Synchronization

/// A program of the host's, started by a test.
///
/// It gets exactly the environment and descriptors that are named, and its output goes into
/// unnamed files, so that nobody has to drain a pipe.
final class Program {
    /// How one ended.
    struct Ending: Sendable {
        let exitCode: Int32?
        let signal: Int32?
        let stdout: [UInt8]
        let stderr: [UInt8]

        var text: String { String(decoding: stdout, as: UTF8.self) }
        var errorText: String { String(decoding: stderr, as: UTF8.self) }
    }

    let pid: pid_t
    private let output: Int32
    private let errorOutput: Int32
    private var status: Int32?

    /// Starts `arguments[0]`, looked for in the usual places. `descriptors` are this process's
    /// numbers by the program's. It leads a session of its own.
    init(
        _ arguments: [String],
        environment: [String: String] = [:],
        directory: String? = nil,
        descriptors: [Int32: Int32] = [:],
        stdin: String = "/dev/null"
    ) throws {
        output = try Self.unnamedFile()
        errorOutput = try Self.unnamedFile()
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawnattr_init(&attributes)
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        var none = sigset_t()
        var all = sigset_t()
        sigemptyset(&none)
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        let flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | Int32(0x80 /* SETSID */)
        posix_spawnattr_setflags(&attributes, Int16(flags))
        posix_spawn_file_actions_addopen(&actions, 0, stdin, O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, output, 1)
        posix_spawn_file_actions_adddup2(&actions, errorOutput, 2)
        for (theirs, ours) in descriptors {
            posix_spawn_file_actions_adddup2(&actions, ours, theirs)
        }
        // Others of this process may be inheritable for a moment, or by somebody's intention.
        // Closing what is not open is no failure here.
        for other in 3..<Self.closed where descriptors[other] == nil {
            posix_spawn_file_actions_addclose(&actions, other)
        }
        let place = directory.map { ["env", "--chdir=\($0)", "--"] } ?? []
        let arguments = place + arguments
        var words = arguments.map { strdup($0) } + [nil]
        var variables = Self.standard.merging(environment) { $1 }.map { strdup("\($0)=\($1)") }
        variables.append(nil)
        defer { (words + variables).forEach { free($0) } }
        var started: pid_t = -1
        let error = posix_spawnp(&started, arguments[0], &actions, &attributes, &words, &variables)
        guard error == 0 else { throw SocketError("starting \(arguments[0])", error) }
        pid = started
        _ = Self.endsAllAtExit
        Self.living.withLock { _ = $0.insert(started) }
    }

    /// Those that have not been waited for. Whoever holds one at the end of this process never lets
    /// go of it, so the end of the process ends them too.
    private static let living = Mutex<Set<pid_t>>([])
    private static let endsAllAtExit: Void = {
        atexit { Program.living.withLock { $0.forEach { kill($0, SIGKILL) } } }
    }()

    /// How many descriptors are closed at most: more than this process has.
    private static let closed: Int32 = 1024

    private static let standard = ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"]

    deinit {
        if status == nil {
            kill(pid, SIGKILL)
            waitpid(pid, nil, 0)
            Self.forget(pid)
        }
        for descriptor in [output, errorOutput] { close(descriptor) }
    }

    private static func forget(_ pid: pid_t) {
        living.withLock { _ = $0.remove(pid) }
    }

    /// Waits for its end; false when it has not come within the limit.
    func ends(within limit: Duration) -> Bool {
        guard status == nil else { return true }
        return Host.waits(upTo: limit) {
            var ended: Int32 = 0
            guard waitpid(pid, &ended, WNOHANG) == pid else { return false }
            status = ended
            Self.forget(pid)
            return true
        }
    }

    /// Waits for its end, and kills it when that does not come in time.
    func ending(within limit: Duration = .seconds(100)) -> Ending {
        if !ends(within: limit) {
            kill(pid, SIGKILL)
            _ = ends(within: .seconds(10))
        }
        let status = status ?? SIGKILL
        let signal = status & 0x7f
        return Ending(
            exitCode: signal == 0 ? (status >> 8) & 0xff : nil,
            signal: signal == 0 ? nil : signal,
            stdout: Self.content(output),
            stderr: Self.content(errorOutput)
        )
    }

    /// What it has written to standard output so far.
    var outputSoFar: [UInt8] { Self.content(output) }
    /// What it has written to standard error so far.
    var errorsSoFar: String { String(decoding: Self.content(errorOutput), as: UTF8.self) }

    /// Runs a program to its end.
    static func run(
        _ arguments: [String],
        environment: [String: String] = [:],
        stdin: String = "/dev/null"
    ) throws -> Ending {
        try Program(arguments, environment: environment, stdin: stdin).ending()
    }

    /// The words before a command line that make it the unprivileged user's; none without root.
    static var asUser: [String] {
        guard Host.isRoot else { return [] }
        return ["setpriv", "--reuid", Host.user, "--regid", Host.user, "--clear-groups", "--"]
    }

    private static func unnamedFile() throws -> Int32 {
        let file = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw SocketError("making an unnamed file in /tmp") }
        return file
    }

    private static func content(_ file: Int32) -> [UInt8] {
        var all: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 64 << 10)
        while case let count = pread(file, &piece, piece.count, off_t(all.count)), count > 0 {
            all += piece[..<count]
        }
        return all
    }

    /// Not importable: two flags in one macro.
    private static var O_TMPFILE: Int32 { 0o20000000 | O_DIRECTORY }
}
