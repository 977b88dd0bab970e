// SPDX-License-Identifier: Apache-2.0
internal import Glibc
package import Kernel
internal import SystemPackage

/// A PostgreSQL server of our own, for installations that have no other: below one directory, on
/// one Unix socket, for one user.
///
/// Theory of operation. The postmaster is a child of the event loop's thread, tethered to it: it
/// gets SIGQUIT when this process ends in whichever way, and ends its own children. `start` makes
/// the cluster if there is none; `run` starts the server again whenever it ends, and is a task of
/// the root group; `stop` ends both. What an earlier process left, processes as well as files, is
/// cleared before each start. Only one process at a time has the directory: it is locked.
package actor EmbeddedCluster {
    private static let readyPause = Duration.milliseconds(10)
    private static let initLimit = Duration.seconds(120)
    private static let soundLife = Duration.seconds(10)
    private static let fastLimit = Duration.seconds(5)
    private static let immediateLimit = Duration.seconds(3)

    package nonisolated var unownedExecutor: UnownedSerialExecutor {
        loop.asUnownedSerialExecutor()
    }

    private nonisolated let loop: EventLoop
    private let configuration: Configuration
    private let observed: @Sendable (Event) -> Void
    private var directory: ClusterDirectory?
    private var process: TetheredProcess?
    private var logStart = 0
    private var readySince = Instant.now
    private var isStopping = false
    private var backoff = Backoff(from: .milliseconds(50), to: .seconds(5))
    private var random = SystemRandomNumberGenerator()
    private let pauses: Pauses

    /// `observed` is called on the loop's thread.
    package init(
        _ configuration: Configuration,
        on loop: EventLoop,
        observed: @escaping @Sendable (Event) -> Void = { _ in }
    ) {
        self.configuration = configuration
        self.loop = loop
        self.observed = observed
        pauses = Pauses(on: loop)
    }

    // MARK: Life cycle

    /// Makes the cluster if there is none, starts its server and answers how to connect to it.
    ///
    /// When it throws, no process is left; a cluster that is half made is removed next time.
    package func start() async throws(ClusterError) -> ConnectionTarget {
        precondition(directory == nil, "started twice")
        guard geteuid() != 0 else { throw .isRoot }
        let user = try Self.userName()
        let directory = try ClusterDirectory(configuration.directory)
        self.directory = directory
        do throws(ClusterError) {
            let programs = try ServerPrograms.find(version: directory.version)
            try await clear(directory)
            if directory.isEmpty { try await create(directory, programs, user: user) }
            try await launch(directory, programs)
        } catch {
            await endProcess()
            // An initdb that is killed leaves what it had started. The error is the first one's.
            try? await Leftovers(of: directory, on: loop).end()
            self.directory = nil
            throw error
        }
        return ConnectionTarget(
            socketDirectory: directory.sockets,
            user: user,
            database: "postgres"
        )
    }

    /// Starts the server again whenever it ends, until `stop`. To be called after `start`.
    package func run() async {
        while !isStopping {
            if let process {
                let ending = await process.end()
                if self.process === process { self.process = nil }
                if isStopping { return }
                observed(.down("the private PostgreSQL server ended with \(ending)"))
                // One that ends as soon as it is ready is not started in a circle.
                if readySince.advanced(by: Self.soundLife) < .now { backoff.reset() }
            }
            await pauses.pause(backoff.next(using: &random))
            do throws(ClusterError) {
                try await restart()
            } catch {
                if !isStopping { observed(.down("\(error)")) }
            }
        }
    }

    /// Ends the server, with the sessions' transactions undone, and lets go of the directory.
    package func stop() async {
        isStopping = true
        pauses.end()
        await endProcess()
        directory?.removeSockets()
        directory = nil
    }

    /// The server's process; nil while there is none.
    package var pid: Int32? { process?.pid }

    /// Where the socket is, which is not always below the directory: a socket's path has at most
    /// 107 bytes.
    package var socketDirectory: String? { directory?.sockets }

    // MARK: Steps

    private func clear(_ directory: ClusterDirectory) async throws(ClusterError) {
        try await Leftovers(of: directory, on: loop).end()
        try directory.disarmPidFile()
    }

    private func restart() async throws(ClusterError) {
        guard let directory, !isStopping else { throw .stopped }
        try await clear(directory)
        try await launch(directory, try ServerPrograms.find(version: directory.version))
    }

    private func create(
        _ directory: ClusterDirectory,
        _ programs: ServerPrograms,
        user: String
    ) async throws(ClusterError) {
        try await run(["/bin/rm", "-rf", "--", directory.unfinished], directory)
        try await run(
            [
                programs.initdb, directory.makingArgument, "--username=\(user)",
                "--auth=peer", "--encoding=UTF8", "--locale=C", "--data-checksums",
                "--no-instructions",
            ],
            directory
        )
        try directory.adopt()
    }

    private func launch(
        _ directory: ClusterDirectory,
        _ programs: ServerPrograms
    ) async throws(ClusterError) {
        let settings = ServerSettings(configuration)
        let process = try begin(
            [programs.postgres, "-D", directory.data, "-k", directory.sockets]
                + settings.arguments,
            directory
        )
        let end = Instant.now.advanced(by: configuration.startLimit)
        while !directory.isReady(process.pid) {
            if let ending = process.ended {
                throw failure("postgres", ending, directory)
            }
            guard Instant.now < end else {
                await endProcess()
                let log = directory.lastLines(since: logStart)
                throw .late(after: configuration.startLimit, log: log)
            }
            await pauses.pause(Self.readyPause)
            if isStopping { throw .stopped }
        }
        readySince = .now
        observed(.ready(pid: process.pid))
    }

    // MARK: Processes

    /// SIGQUIT is PostgreSQL's immediate shutdown.
    private func begin(
        _ arguments: [String],
        _ directory: ClusterDirectory,
        deathSignal: Int32 = SIGQUIT
    ) throws(ClusterError) -> TetheredProcess {
        guard !isStopping else { throw .stopped }
        let log = try directory.openLog()
        let started = try hosting("starting \(arguments[0])") { () throws(Errno) in
            try TetheredProcess(
                arguments,
                deathSignal: deathSignal,
                by: configuration.initProgram,
                log: log.descriptor,
                on: loop
            )
        }
        logStart = log.start
        process = started
        return started
    }

    /// Runs a program to its end.
    private func run(
        _ arguments: [String],
        _ directory: ClusterDirectory
    ) async throws(ClusterError) {
        // initdb only notes a SIGQUIT, and goes on until its current step is done.
        let program = try begin(arguments, directory, deathSignal: SIGKILL)
        let deadline = loop.schedule(at: .now.advanced(by: Self.initLimit)) {
            program.signal(SIGKILL)
        }
        let ending = await program.end()
        loop.cancel(deadline)
        if ending != .exit(0) { throw failure(arguments[0], ending, directory) }
    }

    private func failure(
        _ program: String,
        _ ending: TetheredProcess.Ending,
        _ directory: ClusterDirectory
    ) -> ClusterError {
        .failed(program, status: "\(ending)", log: directory.lastLines(since: logStart))
    }

    /// PostgreSQL's fast shutdown, then its immediate one, then the kernel's.
    private func endProcess() async {
        guard let process else { return }
        let limits = [(SIGINT, Self.fastLimit), (SIGQUIT, Self.immediateLimit)]
        var timers: [EventLoop.Timer] = []
        process.signal(limits[0].0)
        var later = Instant.now
        for (limit, next) in zip(limits.map(\.1), [SIGQUIT, SIGKILL]) {
            later = later.advanced(by: limit)
            timers.append(loop.schedule(at: later) { process.signal(next) })
        }
        _ = await process.end()
        timers.forEach(loop.cancel)
        if self.process === process { self.process = nil }
    }

    private static func userName() throws(ClusterError) -> String {
        guard let entry = getpwuid(geteuid()) else { throw .noUserName(uid: geteuid()) }
        return String(cString: entry.pointee.pw_name)
    }
}
