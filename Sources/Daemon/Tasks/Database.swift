// SPDX-License-Identifier: Apache-2.0
internal import Kernel
internal import Logging
internal import Policy
internal import Postgres
internal import Reaper
internal import SystemPackage
internal import Tasks

/// The daemon's side of the database: its connections, and its place among the workers.
struct Database: Sendable {
    private static let schemaPause = Duration.milliseconds(500)

    let queue: TaskQueue
    let worker: Worker
    let readiness: Readiness
    let tally = CanaryTally()
    private let cluster: EmbeddedCluster?
    private let records: AttemptRecords
    private let keepDays: Int
    private let mayMigrate: Bool
    private let logger: Logger
    private let notified: Notified

    /// What the listening connection calls, once there is somebody to call.
    final class Notified: Sendable {
        private let box = Mailbox<@Sendable (Notification) -> Void>()
        func set(_ handler: @escaping @Sendable (Notification) -> Void) { box.put(handler) }
        func call(_ notification: Notification) { box.take()?(notification) }
    }

    /// Starts the embedded cluster, if that is the choice, and prepares the rest. nil: no database.
    static func open(
        _ configuration: Configuration,
        records: AttemptRecords,
        logger: Logger
    ) async throws(DaemonError) -> Database? {
        let loop: EventLoop
        do throws(Errno) { loop = try EventLoop() } catch {
            throw .host(doing: "making the database's event loop", error)
        }
        switch configuration.database {
        case .none: return nil
        case .external(let target):
            return try Database(target, nil, configuration, records, loop, logger)
        case .embedded:
            let cluster = EmbeddedCluster(
                EmbeddedCluster.Configuration(
                    directory: configuration.state + "/postgres",
                    initProgram: configuration.initProgram
                ),
                on: loop
            ) { event in
                if case .down(let why) = event { logger.warning("\(why)") }
            }
            let target: ConnectionTarget
            do throws(ClusterError) { target = try await cluster.start() } catch {
                throw .database("\(error)")
            }
            return try Database(target, cluster, configuration, records, loop, logger)
        }
    }

    private init(
        _ target: ConnectionTarget,
        _ cluster: EmbeddedCluster?,
        _ configuration: Configuration,
        _ records: AttemptRecords,
        _ loop: EventLoop,
        _ logger: Logger
    ) throws(DaemonError) {
        self.cluster = cluster
        self.records = records
        self.logger = logger
        keepDays = configuration.keepDays
        mayMigrate = cluster != nil || configuration.migrates
        readiness = Readiness()
        let notified = Notified()
        self.notified = notified
        var listening = Session()
        listening.channels = ["sandboxd_ready", "sandboxd_cancel"]
        queue = TaskQueue(
            work: Client(target, on: loop),
            beats: Client(target, on: loop),
            watch: Client(target, session: listening, on: loop) { notified.call($0) }
        )
        worker = Worker(
            queue,
            Worker.Identity(
                node: try StateDirectory.nodeID(configuration.state),
                // Only told to people; an attempt's own clock is CLOCK_BOOTTIME.
                bootID: (try? KernelFile.read("/proc/sys/kernel/random/boot_id")) ?? "unknown",
                version: "1",
                timeToLive: configuration.leaseTime
            )
        ) { key, error in
            logger.error("attempt \(key) could not be settled, and is left to the sweep: \(error)")
        }
    }

    // MARK: Life

    /// Connects, registers, and keeps the tables in order, until the task is cancelled.
    func run(_ runner: TaskRunner, profiles: [Policy]) async {
        notified.set { [worker] notification in
            switch notification.channel {
            case "sandboxd_ready": runner.wake()
            default:
                guard let task = Int(notification.payload) else { return }
                // Unstructured: a notification cannot wait. It ends at once.
                Task { await worker.cancelled(task: task) }
            }
        }
        await worker.watch { [readiness, logger] state in
            readiness.changed(state)
            switch state {
            case .registered(let number):
                logger.info("leasing as worker \(number)")
                runner.wake()
            case .waiting(let why): logger.warning("the queue cannot be used: \(why)")
            case .stopped: break
            }
        }
        await withDiscardingTaskGroup { group in
            if let cluster { group.addTask { await cluster.run() } }
            for client in [queue.work, queue.beats, queue.watch] {
                group.addTask { await client.run() }
            }
            await prepare(profiles)
            group.addTask { await worker.run() }
            group.addTask { await runner.run() }
            let upkeep = Upkeep(
                queue: queue,
                worker: worker,
                tally: tally,
                keepDays: keepDays,
                logger: logger
            )
            group.addTask { await upkeep.run() }
            group.addTask { await upkeep.maintain() }
        }
    }

    /// Ends the connections, then the cluster. Only after this does `run` come back.
    func close() async {
        await worker.abandon()
        for client in [queue.work, queue.beats, queue.watch] { await client.close() }
        await cluster?.stop()
    }

    /// Brings the schema up to date, or waits until somebody has.
    private func prepare(_ profiles: [Policy]) async {
        var told = ""
        while !Task.isCancelled {
            do throws(TaskError) {
                try await migrate()
                // Before this node registers, which ends what it was before.
                for key in try await LostAttempts.settle(records, in: queue) {
                    logger.notice("attempt \(key) was lost with an earlier daemon, and is settled")
                }
                for policy in profiles {
                    try await queue.publish(
                        profile: policy.name,
                        worstCase: policy.worstCase,
                        memoryMiB: policy.reservedMiB,
                        swapBytes: Int(clamping: policy.limits.swapBytes),
                        approval: policy.approval.rawValue
                    )
                }
                return
            } catch {
                readiness.changed(.waiting(error.reason))
                if told != "\(error)" { logger.warning("the queue cannot be used: \(error)") }
                told = "\(error)"
            }
            // Cancelled: the loop sees it.
            try? await Task.sleep(for: Self.schemaPause)
        }
    }

    private func migrate() async throws(TaskError) {
        switch try await Migrations.state(of: queue.watch) {
        case .current: return
        case .older(let version):
            let others = try await queue.pulses().count
            guard mayMigrate || others == 0 else {
                throw .schema(
                    "version \(version) is older, and \(others) other nodes use it (run "
                        + "'sandboxd db migrate', or serve --migrate)"
                )
            }
        // It refuses what it cannot bring up to date.
        case .absent, .newer, .different: break
        }
        let applied = try await Migrations.migrate(queue.watch)
        for name in applied { logger.notice("migrated the database: \(name)") }
    }
}
