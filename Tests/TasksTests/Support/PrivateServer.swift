// SPDX-License-Identifier: Apache-2.0
import Glibc
import Kernel
import Postgres
import SystemPackage
import Testing

/// A PostgreSQL server of one test's own, to be stopped, killed, filled up and succeeded.
///
/// It listens on a Unix socket in its directory. Whatever becomes of the test, its processes go
/// with the thread that started them. That thread is its own, for it waits for programs.
actor PrivateServer {
    /// What is not as usual.
    struct Options: Sendable {
        /// Settings of the server: `name=value`.
        var settings: [String] = []
        /// Whether it has a clock of its own; see `setClock`.
        var hasClock = false
        /// A file system of so many mebibytes for its tables, or for its write-ahead log.
        var smallVolume: (holds: Part, mebibytes: Int)?

        enum Part: Sendable { case tables, log }
    }

    private static let settings = [
        "listen_addresses=", "fsync=off", "full_page_writes=off", "shared_buffers=16MB",
        "max_connections=40", "jit=off", "wal_retrieve_retry_interval=100ms",
        // Files of its directory, so that a killed server leaves no memory behind.
        "dynamic_shared_memory_type=mmap",
    ]
    private static let loop = Result { try EventLoop() }
    /// What starting and ending may take.
    private static let limit = Duration.seconds(30)

    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    /// Where its socket and everything else is.
    nonisolated let directory: String
    private nonisolated let loop: EventLoop
    private let options: Options
    private var volume: SmallVolume?
    private var postmaster: pid_t?

    private init(_ options: Options) throws {
        loop = try Self.loop.get()
        self.options = options
        // Beside the run's own server, which takes all with it that a killed test has left.
        let host = TaskDatabase.server?.split(separator: " ").first { $0.hasPrefix("host=") }
        let place = try #require(host).dropFirst("host=".count)
        var template = Array("\(place)/server.XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Errno(rawValue: errno) }
        directory = String(
            decoding: template.dropLast().map(UInt8.init(bitPattern:)),
            as: UTF8.self
        )
        chmod(directory, 0o755)
        chown(directory, ServerProgram.owner.user, ServerProgram.owner.group)
    }

    // MARK: Life

    /// Runs `body` beside a new server, and leaves nothing of it.
    static func with<Value: Sendable>(
        _ options: Options = Options(),
        _ body: (PrivateServer) async throws -> Value
    ) async throws -> Value {
        try await Turns.shared.one {
            try await with(PrivateServer(options)) { server in
                try await server.make()
                try await server.start()
                return try await body(server)
            }
        }
    }

    /// Runs `body` beside a standby of this server, which has all that it commits.
    nonisolated func withStandby<Value: Sendable>(
        _ body: (PrivateServer) async throws -> Value
    ) async throws -> Value {
        try await Self.with(PrivateServer(Options())) { standby in
            try await standby.copy(self)
            try await standby.start()
            return try await body(standby)
        }
    }

    private static func with<Value: Sendable>(
        _ server: PrivateServer,
        _ body: (PrivateServer) async throws -> Value
    ) async throws -> Value {
        do {
            let value = try await body(server)
            await server.remove()
            return value
        } catch {
            await server.remove()
            throw error
        }
    }

    /// Makes the files, on the small volume if there is one.
    private func make() throws {
        var initdb = [
            "initdb", "--pgdata", data, "--username=sandboxd", "--auth=trust", "--encoding=UTF8",
            "--locale=C", "--no-sync", "--wal-segsize=1",
        ]
        if options.hasClock { try setClock("+0") }
        if let small = options.smallVolume {
            let path = directory + "/volume"
            _ = try kernel { mkdir(path, 0o755) }
            volume = try SmallVolume(at: path, mebibytes: small.mebibytes)
            if small.holds == .log { initdb.append("--waldir=\(path)/wal") }
            if small.holds == .tables { initdb.append("--waldir=\(directory)/wal") }
        }
        try run(initdb)
    }

    /// Makes the files a copy of another server's, which this one then follows.
    private func copy(_ primary: PrivateServer) throws {
        try run([
            "pg_basebackup", "--host=\(primary.directory)", "--username=sandboxd", "--pgdata", data,
            "--checkpoint=fast", "--no-sync", "--write-recovery-conf",
        ])
    }

    /// Starts it, and waits until it takes connections.
    func start() async throws {
        precondition(postmaster == nil)
        let words = (Self.settings + options.settings).flatMap { ["-c", $0] }
        let pid = try begin(["postgres", "-D", data, "-k", directory] + words)
        postmaster = pid
        let deadline = Instant.now.advanced(by: Self.limit)
        while try await !isReady() {
            try #require(!hasEnded(), "\(lastWords)")
            try #require(.now < deadline, "\(lastWords)")
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    /// Stops it in order: sessions end, transactions are undone.
    func stop() async throws {
        if let postmaster { kill(postmaster, SIGINT) }
        try await ended()
    }

    /// Ends it as a machine that loses its power does: all its processes at one moment.
    func killNow() {
        guard let postmaster else { return }
        kill(postmaster, SIGSTOP)
        let children = ServerProgram.children(of: postmaster)
        for pid in [postmaster] + children { kill(pid, SIGKILL) }
        ServerProgram.wait(for: postmaster)
        forget()
        children.forEach(ServerProgram.waitUntilDead)
    }

    /// Stops all its processes where they are; what is sent to them stays in their sockets.
    func freeze() { signalAll(SIGSTOP) }

    /// Lets them go on.
    func thaw() { signalAll(SIGCONT) }

    /// Waits until it has ended by itself.
    func ended() async throws {
        let deadline = Instant.now.advanced(by: Self.limit)
        while !hasEnded() {
            try #require(.now < deadline, "it lives on: \(lastWords)")
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    private func remove() {
        killNow()
        removeInterlock()
        volume?.end()
        // What stays goes with the run's own server.
        guard let log = try? Descriptor.open("/dev/null", O_WRONLY) else { return }
        let remove = ["rm", "-rf", "--", directory]
        if let pid = try? ServerProgram.start(remove, output: log) { ServerProgram.wait(for: pid) }
    }

    /// The piece of memory by which a server knows its killed predecessor's processes: the second
    /// number in the seventh line of postmaster.pid, which an orderly end removes.
    private func removeInterlock() {
        guard let text = try? KernelFile.read((volume?.root ?? "") + data + "/postmaster.pid")
        else { return }
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        guard lines.count > 6, let id = lines[6].split(separator: " ").last.flatMap({ Int32($0) })
        else { return }
        shmctl(id, IPC_RMID, nil)
    }

    private func signalAll(_ number: Int32) {
        guard let postmaster else { return }
        for pid in [postmaster] + ServerProgram.children(of: postmaster) { kill(pid, number) }
    }

    private func hasEnded() -> Bool {
        guard let postmaster, waitpid(postmaster, nil, WNOHANG) == 0 else {
            forget()
            return true
        }
        return false
    }

    private func forget() {
        if let postmaster, options.hasClock { FakeTime.forget(postmaster) }
        postmaster = nil
    }

    // MARK: Using it

    /// Its connection string.
    nonisolated var string: String {
        "host=\(directory) user=sandboxd dbname=postgres options='-c search_path='"
    }

    /// Itself as a database of tests.
    nonisolated var database: TaskDatabase { TaskDatabase(string: string) }

    /// Sets its own clock to so many seconds from the machine's: `-3600`.
    nonisolated func setClock(_ offset: String) throws { try FakeTime.set(clock, offset) }

    /// Leaves no room on its small volume.
    func fillVolume() throws { try volume?.fill() }

    /// Makes room again.
    func clearVolume() { volume?.clear() }

    // MARK: Programs

    private var data: String {
        options.smallVolume?.holds == .tables ? directory + "/volume/data" : directory + "/data"
    }

    private nonisolated var clock: String { directory + "/clock" }

    private var environment: [String] {
        options.hasClock ? FakeTime.environment(clock) : []
    }

    private func begin(_ command: [String]) throws -> pid_t {
        let programs = try #require(ServerProgram.directory)
        let log = try Descriptor.open(directory + "/log", O_WRONLY | O_CREAT | O_APPEND)
        return try ServerProgram.start(
            (volume?.entering ?? []) + ServerProgram.asOwner + ["env"] + environment
                + ["\(programs)/\(command[0])"] + command.dropFirst(),
            output: log
        )
    }

    private func run(_ command: [String]) throws {
        let status = ServerProgram.wait(for: try begin(command))
        try #require(status == 0, "\(command[0]): \(lastWords)")
    }

    /// Whether it takes connections: pg_isready's answer, without a program.
    private func isReady() async throws -> Bool {
        // Not there yet: not ready.
        guard access(directory + "/.s.PGSQL.5432", F_OK) == 0 else { return false }
        let connection = Connection(on: loop)
        do throws(PostgresError) {
            let origin = Connection.Origin(try ConnectionTarget(string))
            try await connection.connect(origin, deadline: .seconds(5))
            await connection.close()
            return true
        } catch {
            return false
        }
    }

    private var lastWords: String {
        let text = (try? KernelFile.read(directory + "/log")) ?? ""
        return text.split(separator: "\n").suffix(5).joined(separator: "; ")
    }
}

extension Trait where Self == ConditionTrait {
    /// Needs PostgreSQL's programs.
    static var privateServer: Self {
        .enabled(
            if: ServerProgram.directory != nil,
            "SANDBOXD_TEST_POSTGRES is not set: run scripts/with-postgres"
        )
    }
}
