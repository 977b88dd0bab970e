// SPDX-License-Identifier: Apache-2.0
internal import CPostgres
internal import Glibc
internal import Kernel
internal import SystemPackage

/// Where the private server keeps everything: `data`, `log`, `lock` and, for its socket, `run`.
///
/// Whoever has one of these holds the lock, so that no other daemon starts a second server on the
/// same files.
struct ClusterDirectory {
    /// The socket's name, which is libpq's choice for port 5432.
    private static let socketName = ".s.PGSQL.5432"
    private static let logLimit = 8 << 20
    private static let logTail = 4096
    private static let logLines = 5

    /// The log, and where in it the next program's words begin.
    struct Log {
        let descriptor: Descriptor
        let start: Int
    }

    /// The directory's real path.
    let path: String
    /// Where the socket is: `run`, unless that would be too long a path for the kernel.
    let sockets: String
    private let lock: Descriptor

    var data: String { path + "/data" }
    /// What `initdb` works on; it becomes `data` when it is whole.
    var unfinished: String { path + "/data.new" }
    /// The argument by which an `initdb` of this directory is known.
    var makingArgument: String { "--pgdata=\(unfinished)" }
    /// What `initdb` puts into the environment of the programs that it starts.
    var makingVariable: String { "PGDATA=\(unfinished)" }
    /// Whether `initdb` has to be run.
    var isEmpty: Bool { version == nil }

    /// Makes the directory with mode 0700 if it is missing, and takes its lock.
    init(_ wanted: String) throws(ClusterError) {
        try Self.makePrivate(wanted)
        guard let real = realpath(wanted, nil) else {
            throw .host(doing: wanted, Errno(rawValue: errno))
        }
        defer { free(real) }
        let path = String(cString: real)
        self.path = path
        lock = try hosting("opening \(path)/lock") { () throws(Errno) in
            try Descriptor.open(path + "/lock", O_RDWR | O_CREAT)
        }
        let number = lock.number
        do throws(Errno) { _ = try kernel { flock(number, LOCK_EX | LOCK_NB) } } catch {
            throw .inUse(path)
        }
        sockets = try Self.socketDirectory(below: path)
        try Self.makePrivate(sockets)
    }

    /// The major version of the cluster that is there.
    var version: String? {
        // No such file: no cluster. Anything else shows when the server is started.
        guard let text = try? KernelFile.read(data + "/PG_VERSION") else { return nil }
        return text.split(whereSeparator: \.isNewline).first.map(String.init)
    }

    /// Makes what `initdb` has finished the cluster, in one step, for good.
    func adopt() throws(ClusterError) {
        try hosting("renaming \(unfinished)") { () throws(Errno) in
            _ = try kernel { rename(unfinished, data) }
            let parent = try Descriptor.open(path, O_RDONLY | O_DIRECTORY)
            _ = try kernel { fsync(parent.number) }
        }
    }

    // MARK: Sockets

    /// `run` in the directory, or a place with a shorter name that is as private.
    private static func socketDirectory(below path: String) throws(ClusterError) -> String {
        if fits(path + "/run") { return path + "/run" }
        let name = "/sandboxd-postgres-\(geteuid())-\(String(fingerprint(path), radix: 16))"
        if let runtime = getenv("XDG_RUNTIME_DIR") {
            let shorter = String(cString: runtime) + name
            if shorter.hasPrefix("/"), fits(shorter), access(String(cString: runtime), W_OK) == 0 {
                return shorter
            }
        }
        return "/tmp" + name
    }

    private static func fits(_ directory: String) -> Bool {
        directory.utf8.count + 1 + socketName.utf8.count <= UnixSocket.pathLimit
    }

    /// FNV-1a: the same place for the same directory, each time.
    private static func fingerprint(_ text: String) -> UInt64 {
        text.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }

    /// Makes a directory of our own that nobody else may enter. One that is there must be that
    /// already: in /tmp, anybody may have made it.
    private static func makePrivate(_ path: String) throws(ClusterError) {
        try hosting("making \(path)") { () throws(Errno) in
            do throws(Errno) { _ = try kernel { mkdir(path, 0o700) } } catch .fileExists {}
            var status = stat()
            _ = try kernel { lstat(path, &status) }
            guard status.st_mode & S_IFMT == S_IFDIR else { throw .notDirectory }
            guard status.st_uid == geteuid() else { throw .notPermitted }
            if status.st_mode & 0o077 != 0 { _ = try kernel { chmod(path, 0o700) } }
        }
    }

    /// Removes the socket's directory, when it is not in ours.
    func removeSockets() {
        if sockets != path + "/run" { rmdir(sockets) }
    }

    // MARK: postmaster.pid

    /// Whether this server takes connections, as it says itself (the eighth line of its file).
    func isReady(_ process: pid_t) -> Bool {
        // Not there yet: not ready.
        guard let text = try? KernelFile.read(data + "/postmaster.pid") else { return false }
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        return lines.count > 7 && lines[0] == String(process) && lines[7].hasPrefix("ready")
    }

    /// Makes what a killed server left no obstacle.
    ///
    /// A server that finds postmaster.pid gives up when the process it names exists, which by now
    /// may be anybody; but of its own parent, it knows that it is no server. So the file names us
    /// from now on. It is not removed, because it also names the shared memory by which PostgreSQL
    /// finds out whether an old backend still lives. To be called when nothing of it does.
    func disarmPidFile() throws(ClusterError) {
        unlink("\(sockets)/\(Self.socketName)")
        unlink("\(sockets)/\(Self.socketName).lock")
        let file = data + "/postmaster.pid"
        // Not there: the last server stopped in order.
        guard let text = try? KernelFile.read(file) else { return }
        let rest = text.drop { $0 != "\n" }
        try hosting("writing \(file)") { () throws(Errno) in
            let out = try Descriptor.open(file, O_WRONLY | O_TRUNC)
            try out.writeAll(Array("\(getpid())\(rest.isEmpty ? "\n" : rest)".utf8))
        }
    }

    // MARK: The log

    /// Opens the log to write at its end; one that has grown too long begins anew.
    func openLog() throws(ClusterError) -> Log {
        try hosting("opening \(path)/log") { () throws(Errno) in
            let log = try Descriptor.open(path + "/log", O_WRONLY | O_CREAT | O_APPEND)
            let length = try kernel { lseek(log.number, 0, SEEK_END) }
            if length > Self.logLimit { _ = try kernel { ftruncate(log.number, 0) } }
            return Log(descriptor: log, start: length > Self.logLimit ? 0 : Int(length))
        }
    }

    /// The last lines of the log, and none from before `start`.
    func lastLines(since start: Int) -> [String] {
        // A log that cannot be read has nothing to add to the error that asks for it.
        guard let log = try? Descriptor.open(path + "/log", O_RDONLY) else { return [] }
        let length = lseek(log.number, 0, SEEK_END)
        lseek(log.number, max(start, length - Self.logTail), SEEK_SET)
        guard let bytes = try? log.readAll(limit: Self.logTail) else { return [] }
        let lines = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline)
        return lines.suffix(Self.logLines).map(String.init)
    }
}
