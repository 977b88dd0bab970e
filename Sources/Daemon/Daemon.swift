// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import DockerAPI
internal import Glibc
internal import Hummingbird
internal import Images
internal import Kernel
internal import Logging
internal import Policy
internal import Reaper
internal import ServiceLifecycle
internal import Spawner
internal import SystemPackage

/// Wires the parts together, serves until told to stop, and leaves nothing behind.
struct Daemon {
    private let configuration: Configuration
    private let lock: Descriptor
    private let cgroups: any CgroupTree
    private let engines: Engines
    private let runs: RunService
    private let database: Database?
    private let runner: TaskRunner?
    private let reaper: Reaper
    private let policies: [Policy]
    private let janitor: Janitor
    private let logger: Logger

    /// Takes the state directory, the cgroups and the ids; refuses what cannot be enforced here.
    init(_ configuration: Configuration) async throws(DaemonError) {
        guard geteuid() != 0 else { throw .isRoot }
        var logger = Logger(label: "sandboxd")
        logger.logLevel = configuration.isVerbose ? .debug : .info
        self.logger = logger
        self.configuration = configuration
        try Self.checkSocketPath(configuration.socket)
        lock = try StateDirectory.take(configuration.state)
        try StateDirectory.freeSocket(configuration.socket)

        let catalogue = try Catalogue(configuration)
        let program = try Self.initProgram(configuration.initProgram)
        let recordsPath = configuration.state + "/attempts"
        let node = StateDirectory.nodeName(configuration.state)
        var cgroups = try Self.cgroups(node: node)
        let leftovers = cgroups.inventory()
        if !leftovers.isEmpty {
            logger.notice("removing what was left of \(leftovers.count) attempts")
            let roots = cgroups.roots
            try Janitor.clean(program, roots, records: recordsPath, sharing: lock)
            cgroups = try Self.cgroups(node: node)
        }
        self.cgroups = cgroups
        let records = try Self.hosting("opening the attempts' records") { () throws(Errno) in
            try AttemptRecords(directory: recordsPath)
        }
        janitor = try Janitor.start(
            program,
            watching: cgroups.roots + [configuration.socket],
            records: recordsPath,
            sharing: lock
        )
        let (loop, ids) = try Self.loopAndIDs()
        let native = NativeEngine(
            loop: loop,
            program: program,
            cgroups: cgroups,
            ids: ids,
            sparesPerImage: configuration.spares,
            without: configuration.missingLayers
        )
        engines = Engines(
            native: native,
            docker: try Self.docker(
                configuration,
                cgroups,
                ids,
                program,
                store: catalogue.storeIdentity,
                on: loop
            )
        )
        let store = try Self.hosting("opening the artifact store") { () throws(Errno) in
            try ArtifactStore(path: configuration.state + "/artifacts")
        }
        policies = catalogue.names.compactMap { catalogue.entry(named: $0)?.policy }
        let database = try await Database.open(configuration, records: records, logger: logger)
        self.database = database
        runs = RunService(
            catalogue: catalogue,
            engines: engines,
            store: store,
            admission: Admission(capacityBytes: configuration.memoryBytes),
            ledger: database.map {
                Ledger(
                    queue: $0.queue,
                    worker: $0.worker,
                    readiness: $0.readiness,
                    records: records,
                    tally: $0.tally
                )
            },
            disk: DiskGuard(
                path: configuration.state,
                limitPercent: configuration.diskLimitPercent
            ),
            reachable: configuration.reachable,
            secrets: configuration.secrets,
            tls: configuration.tls,
            logger: logger
        )
        runner = database.map { [runs] in
            TaskRunner($0, runs: runs, records: records, logger: logger)
        }
        reaper = Reaper(
            engines: engines.all,
            cgroups: cgroups,
            records: records,
            artifacts: store,
            keeping: .seconds(86_400 * configuration.keepDays),
            state: configuration.state,
            queue: database?.queue,
            worker: database?.worker
        ) { [logger] in logger.notice("\($0)") }
        if !configuration.missingLayers.isEmpty {
            let names = configuration.missingLayers.map(\.rawValue).joined(separator: ", ")
            logger.critical("INSECURE control run: sandboxes are made WITHOUT \(names)")
        }
    }

    /// Serves until SIGTERM or SIGINT; then no new run starts, those that go on are cancelled, and
    /// everything is taken down.
    func run() async throws {
        let failure = await serve()
        await engines.native.stop()
        // Empty, unless something stays that the next start's reaper sees.
        rmdir(configuration.state + "/containers")
        unlink(configuration.socket)
        for attempt in cgroups.inventory() {
            // What cannot be removed now is swept at the next start, which says so.
            try? cgroups.sweep(attempt)
        }
        cgroups.remove()
        janitor.dismiss()
        if let failure { throw failure }
        logger.info("stopped")
    }

    /// Answers requests and runs tasks until told to stop; answers what went wrong, if anything did.
    private func serve() async -> (any Error)? {
        let server = APIServer(
            runs: runs,
            database: database,
            runner: runner,
            reaper: reaper,
            socket: configuration.socket,
            logger: logger
        )
        return await withTaskGroup(of: Void.self) { group in
            if let database, let runner {
                group.addTask { await database.run(runner, profiles: policies) }
            }
            group.addTask { await reaper.run() }
            if let docker = engines.docker { group.addTask { await greet(docker) } }
            if let docker = engines.docker, let database {
                group.addTask { [logger] in
                    await EngineMemory(
                        database.queue,
                        node: docker.node,
                        engine: docker,
                        logger: logger
                    ).run()
                }
            }
            var failure: (any Error)?
            do { try await server.run() } catch { failure = error }
            await runs.stop()
            await database?.close()
            group.cancelAll()
            return failure
        }
    }

    /// Finds out what the container engine is, also when it was not there or not well: `status` can
    /// tell, and runs go to it, without one of them having to try.
    private func greet(_ docker: DockerEngine) async {
        while !Task.isCancelled {
            switch await docker.look() {
            case .success(let info)?:
                logger.info("runs can go to \(info.engine)")
                if let warning = await docker.status().warning { logger.warning("\(warning)") }
            case .failure(let error)?:
                logger.warning("no run goes to the container engine: \(error)")
            case nil: break
            }
            // Cancelled: the loop sees it.
            try? await Task.sleep(for: .seconds(1))
        }
    }

    private static func checkSocketPath(_ path: String) throws(DaemonError) {
        guard path.utf8.count <= 107 else {
            throw .socketPathTooLong(path, bytes: path.utf8.count)
        }
    }

    private static func initProgram(_ path: String) throws(DaemonError) -> InitProgram {
        do throws(Errno) { return try InitProgram(path: path) } catch {
            throw .noInitProgram(path, error)
        }
    }

    private static func cgroups(node: String) throws(DaemonError) -> any CgroupTree {
        let mounts = try hosting("reading /proc/self/mountinfo") { () throws(Errno) in
            try MountTable()
        }
        do throws(CgroupError) {
            if mounts.cgroupV2 != nil { return try CgroupsV2(mounts: mounts) }
            return try CgroupsV1(node: node, mounts: mounts)
        } catch {
            throw .cgroups(error)
        }
    }

    /// The thread that engines live on, and the ids that their sandboxes run under.
    private static func loopAndIDs() throws(DaemonError) -> (EventLoop, SubordinateIDs) {
        let loop = try hosting("making the event loop") { () throws(Errno) in try EventLoop() }
        do throws(SpawnError) {
            return (loop, try SubordinateIDs(user: userName(), uid: getuid()))
        } catch {
            throw .engine(error)
        }
    }

    private static func docker(
        _ configuration: Configuration,
        _ cgroups: any CgroupTree,
        _ ids: SubordinateIDs,
        _ program: InitProgram,
        store: String,
        on loop: EventLoop
    ) throws(DaemonError) -> DockerEngine? {
        guard let address = configuration.docker else { return nil }
        let containers = configuration.state + "/containers"
        do throws(Errno) { _ = try kernel { mkdir(containers, 0o700) } } catch {
            if error != .fileExists { throw .host(doing: "making \(containers)", error) }
        }
        return DockerEngine(
            DockerClient(address, on: loop),
            loop: loop,
            cgroups: cgroups,
            ids: ids,
            configuration: DockerEngine.Configuration(
                node: try StateDirectory.nodeID(configuration.state),
                directory: containers,
                program: program,
                store: store,
                patience: configuration.dockerTimeout,
                allowsRootful: configuration.allowsRootful
            ),
            without: configuration.missingLayers
        )
    }

    private static func userName() -> String {
        guard let entry = getpwuid(getuid()) else { return String(getuid()) }
        return String(cString: entry.pointee.pw_name)
    }

    private static func hosting<Value>(
        _ doing: String,
        _ body: () throws(Errno) -> Value
    ) throws(DaemonError) -> Value {
        do throws(Errno) { return try body() } catch { throw .host(doing: doing, error) }
    }
}
