// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import SystemPackage

/// A program of the host that a build runs: no shell, a fixed environment, nothing inherited.
struct Tool {
    /// The most lines of output that are kept for an error.
    private static let linesKept = 15

    private let name: String
    private let path: FilePath
    private let environment: [String: String]

    /// Finds `name` in the directories of `searchPath`.
    ///
    /// `environment` is all of the program's environment but `PATH`.
    init(
        _ name: String,
        searchPath: [FilePath],
        environment: [String: String]
    ) throws(ImageError) {
        let candidates = searchPath.map { $0.appending(name) }
        let found = candidates.first { $0.withPlatformString { access($0, X_OK) } == 0 }
        guard let found else { throw .toolMissing(name) }
        self.name = name
        self.path = found
        let searchPath = searchPath.map(\.string).joined(separator: ":")
        self.environment = environment.merging(["PATH": searchPath]) { _, ours in ours }
    }

    /// Runs the program until it and all that hold its output have ended.
    ///
    /// The program gets `lock` as its descriptor 3: should this process be killed, the lock
    /// stays for as long as anything that it started is there.
    /// `line` gets each line of what it writes, to either output, as it comes.
    func run(
        _ arguments: [String],
        holding lock: borrowing Descriptor,
        line: (String) -> Void
    ) throws(ImageError) {
        let nothing = try Descriptor("/dev/null", O_RDONLY)
        let running = try start(arguments, nothing, errors: true, holding: lock)
        var last: [String] = []
        var lines = LineBuffer()
        func take(_ text: String) {
            last.append(text)
            if last.count > Self.linesKept { last.removeFirst() }
            line(text)
        }
        // The end of output comes when nobody holds the pipe any more: mmdebstrap runs all of
        // it in a pid namespace of its own, of which nothing is left by then.
        let failure = read(running.output) { lines.take($0, line: take) }
        lines.finish(line: take)
        let status = try wait(running.pid)
        if let failure { throw failure }
        guard status == 0 else { throw .toolFailed(name, status: status, lastLines: last) }
    }

    /// Runs the program on what `input` holds, and hands on what it makes of it, piece by piece.
    ///
    /// When `piece` throws, that is thrown as soon as the program has ended, which it does when
    /// nobody takes its output.
    ///
    /// - Returns: its exit status, or minus the signal that ended it.
    func filter(
        _ arguments: [String],
        _ input: borrowing Descriptor,
        holding lock: borrowing Descriptor,
        piece: (ArraySlice<UInt8>) throws(ImageError) -> Void
    ) throws(ImageError) -> Int32 {
        let running = try start(arguments, input, errors: false, holding: lock)
        let pid = running.pid
        let failure = read(running.output, piece)
        // The program may still be writing.
        _ = consume running
        let status = try wait(pid)
        if let failure { throw failure }
        return status
    }

    /// A program that runs, and where to read what it writes.
    private struct Running: ~Copyable {
        let pid: pid_t
        let output: Descriptor
    }

    /// Starts the program; with `errors`, what it writes to its standard error is read too.
    private func start(
        _ arguments: [String],
        _ input: borrowing Descriptor,
        errors: Bool,
        holding lock: borrowing Descriptor
    ) throws(ImageError) -> Running {
        var ends: [Int32] = [-1, -1]
        try system("make a pipe for", path) { _ in pipe(&ends) }
        let output = Descriptor(owning: ends[0])
        let writing = Descriptor(owning: ends[1])
        // pipe2(2) is hidden from Swift. A child that another thread makes right here keeps
        // the pipe open for a while; it can do no more.
        for end in ends {
            try system("mark", path) { _ in fcntl(end, F_SETFD, FD_CLOEXEC) }
        }
        let pid = try spawn(
            arguments,
            input: input.fd,
            output: writing.fd,
            errors: errors,
            lock: lock.fd
        )
        return Running(pid: pid, output: output)
    }

    private func spawn(
        _ arguments: [String],
        input: Int32,
        output: Int32,
        errors: Bool,
        lock: Int32
    ) throws(ImageError) -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        // What our own caller left open; closefrom(3) is hidden from Swift. Closing what is
        // closed by then, such as the listing's own descriptor, is no error here.
        for name in try names(in: "/proc/self/fd") {
            guard let fd = Int32(name.string), fd > 2, ![input, output, lock].contains(fd)
            else { continue }
            posix_spawn_file_actions_addclose(&actions, fd)
        }
        posix_spawn_file_actions_adddup2(&actions, input, 0)
        posix_spawn_file_actions_adddup2(&actions, output, 1)
        if errors {
            posix_spawn_file_actions_adddup2(&actions, output, 2)
        } else {
            posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
        }
        posix_spawn_file_actions_adddup2(&actions, lock, 3)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // What this process ignores or blocks is its own affair: SIGPIPE, above all.
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        sigfillset(&signals)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        let flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF
        posix_spawnattr_setflags(&attributes, Int16(flags))

        var pid: pid_t = 0
        let variables = environment.map { "\($0.key)=\($0.value)" }
        let code = withTexts([path.string] + arguments) { argv in
            withTexts(variables) { envp in
                path.withPlatformString { posix_spawn(&pid, $0, &actions, &attributes, argv, envp) }
            }
        }
        guard code == 0 else { throw .system(doing: "start", path, Errno(rawValue: code)) }
        return pid
    }

    /// The exit status, or minus the signal that ended it.
    private func wait(_ pid: pid_t) throws(ImageError) -> Int32 {
        var status: Int32 = 0
        try system("wait for", path) { _ in waitpid(pid, &status, 0) }
        let signal = status & 0x7f
        return signal == 0 ? (status >> 8) & 0xff : -signal
    }

    /// Hands on what comes, until its end or until `piece` throws.
    private func read(
        _ output: borrowing Descriptor,
        _ piece: (ArraySlice<UInt8>) throws(ImageError) -> Void
    ) -> ImageError? {
        let fd = output.fd
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        do throws(ImageError) {
            while true {
                let count = try system("read from", path) { _ in
                    Glibc.read(fd, &buffer, buffer.count)
                }
                if count == 0 { return nil }
                try piece(buffer[..<count])
            }
        } catch {
            return error
        }
    }
}

/// Calls `body` with a C array of C strings, which ends in a null pointer.
private func withTexts<Result>(
    _ texts: [String],
    _ body: ([UnsafeMutablePointer<CChar>?]) -> Result
) -> Result {
    let copies = texts.map { strdup($0) }
    defer { for copy in copies { free(copy) } }
    return body(copies + [nil])
}
