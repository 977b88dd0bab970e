// SPDX-License-Identifier: Apache-2.0
internal import FoundationEssentials
internal import Kernel
internal import Logging
internal import Policy
internal import Reaper
internal import Spawner
internal import Tasks

/// Leases what fits into this node's free memory, runs it, and settles it.
///
/// It looks when it is told that something came, when a run has ended, and once a second anyway.
/// What is too large for what is free is passed by smaller tasks, for a while (`MemorySaving`).
actor TaskRunner {
    /// How many tasks one lease takes at most.
    private static let batch = 32
    private static let poll = Duration.milliseconds(1000)
    /// For how long a task may be passed by smaller ones.
    private static let patience = Duration.seconds(30)

    private let queue: TaskQueue
    private let worker: Worker
    private let tally: CanaryTally
    private let runs: RunService
    private let records: AttemptRecords
    private let logger: Logger
    private let signal: AsyncStream<Void>
    private let bell: AsyncStream<Void>.Continuation
    /// Whether the daemon is to end.
    private(set) var isStopping = false
    private var lastLane = 0
    private var saving = MemorySaving(patience: patience)
    /// Of tasks that are leased and not admitted yet, in MiB.
    private var promisedMiB = 0
    /// Tasks that are leased and not settled yet, and the asking for them.
    private var inHand = 0
    private var isAbandoned = false
    private var whenStopped: [CheckedContinuation<Void, Never>] = []
    /// What runs here, by task.
    private var running: [Int: (attempt: AttemptID, sandbox: Sandbox)] = [:]
    /// What the database was told last.
    private var isWaiting = false

    init(_ database: Database, runs: RunService, records: AttemptRecords, logger: Logger) {
        queue = database.queue
        worker = database.worker
        tally = database.tally
        self.runs = runs
        self.records = records
        self.logger = logger
        (signal, bell) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Says that it is worth looking. From anywhere.
    nonisolated func wake() { bell.yield() }

    /// The attempt of a task that runs on this node now.
    func attempt(of task: Int) -> (attempt: AttemptID, sandbox: Sandbox)? { running[task] }

    /// Takes no new task from now on; what a stop interrupts goes back into the queue.
    func stop() {
        isStopping = true
        bell.yield()
    }

    /// Waits until no task is this node's any more, after a `stop`; or until `abandon`.
    func stopped() async {
        guard inHand > 0, !isAbandoned else { return }
        await withCheckedContinuation { whenStopped.append($0) }
    }

    /// Has nobody wait any longer for what the database does not answer.
    func abandon() {
        isAbandoned = true
        tellStopped()
    }

    private func letGo() {
        inHand -= 1
        if inHand == 0 { tellStopped() }
    }

    private func tellStopped() {
        whenStopped.forEach { $0.resume() }
        whenStopped = []
    }

    /// Leases and runs until the task is cancelled.
    func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.tick() }
            for await _ in signal {
                if Task.isCancelled { break }
                while !isStopping, await leaseOnce(into: &group) {}
            }
            group.cancelAll()
        }
    }

    /// Rings once a second, less or more, so that nodes do not all look at once.
    private func tick() async {
        while !Task.isCancelled {
            await lookForLarge()
            bell.yield()
            // Cancelled: the loop sees it.
            try? await Task.sleep(for: Self.poll * Double.random(in: 0.8...1.2))
        }
        bell.finish()
    }

    /// Looks whether a large task waits for what small ones take.
    private func lookForLarge() async {
        let capacity = Int(await runs.status.admission.capacityBytes >> 20)
        let room = await freeMiB
        var heads: [MemorySaving.Head] = []
        // With everything free, nothing that could ever fit has to wait.
        if room < capacity || saving.isWatching, !isStopping, case .registered = await worker.state
        {
            do throws(TaskError) { heads = try await queue.heads() } catch {
                return logger.debug("looking at the lanes: \(error)")
            }
        }
        saving.look(heads, freeMiB: room, capacityMiB: capacity, at: .now)
    }

    /// Memory for further leases.
    private var freeMiB: Int {
        get async { await runs.freeMiB - promisedMiB }
    }

    /// Leases once; whether it is worth doing so again at once.
    private func leaseOnce(into group: inout DiscardingTaskGroup) async -> Bool {
        inHand += 1
        defer { letGo() }
        guard runs.disk.look().isOpen, case .registered = await worker.state else { return false }
        let room = await freeMiB
        guard room > 0 else {
            await tellWaiting(false)
            return false
        }
        switch saving.plan(freeMiB: room) {
        case .anything: break
        case .first(let head): lastLane = head.lane - 1
        case .nothing:
            await tellWaiting(false)
            return false
        }
        await tellWaiting(true)
        guard !isStopping else { return false }
        let leases: [Lease]
        do throws(TaskError) {
            leases = try await worker.lease(
                most: Self.batch,
                memoryMiB: room,
                afterLane: lastLane
            )
        } catch {
            logger.debug("leasing: \(error)")
            return false
        }
        for lease in leases {
            lastLane = lease.lane
            saving.took(lease.key.task)
            promisedMiB += lease.memoryMiB
            inHand += 1
            group.addTask { await self.perform(lease) }
        }
        return leases.count == Self.batch
    }

    private func tellWaiting(_ isWaiting: Bool) async {
        guard self.isWaiting != isWaiting else { return }
        self.isWaiting = isWaiting
        // Who is not told looks once a second.
        do { try await worker.setWaiting(isWaiting) } catch { self.isWaiting = !isWaiting }
    }

    /// One leased task, from its spec to its settlement.
    private func perform(_ lease: Lease) async {
        defer { letGo() }
        do {
            let admitted = try await admit(lease)
            let policy = admitted.request.policy
            await worker.hold(lease.key, .sandbox(admitted.sandbox, policy))
            running[lease.key.task] = (admitted.request.attempt, admitted.sandbox)
            let result = await runs.perform(admitted) { [records] cell in
                try records.begin(lease.key, cell: cell)
            }
            running[lease.key.task] = nil
            // A stop is nobody's fault: the task goes back, and this attempt does not count.
            let isSnoozed = isStopping && result.verdict == .cancelled
            await settle(
                Completion(lease.key, result, policy, isSnoozed: isSnoozed),
                of: lease.profile,
                began: admitted.at
            )
            records.end(lease.key)
            await runs.finished(admitted, result)
        } catch {
            await giveBack(lease, error)
        }
        bell.yield()
    }

    private func admit(_ lease: Lease) async throws -> RunService.Admitted {
        defer { promisedMiB -= lease.memoryMiB }
        var spec = try RunSpec.task(lease)
        try await spec.loadBlobs(from: queue)
        return try await runs.admit(
            spec,
            isLive: false,
            attempt: AttemptID(hex: lease.attemptID),
            noLongerThan: lease.millisecondsToDeadline.map { .milliseconds(max(1, $0)) }
        )
    }

    /// What could not even begin. What a moment mends comes back as it was; what is this node's
    /// fault is tried again, with a pause; anything else fails.
    private func giveBack(_ lease: Lease, _ error: any Error) async {
        let verdict =
            switch error {
            case APIError.notAdmitted(.memory), APIError.notAdmitted(.stopping),
                APIError.diskFull, APIError.tasks(.unavailable):
                "snoozed"
            case APIError.image, APIError.engineUnavailable: "engine_error"
            default: "refused"
            }
        if verdict != "snoozed" {
            logger.warning("task \(lease.key) of '\(lease.profile)': \(error)")
        }
        let report: JSONObject = ["error": ["message": "\(error)"] as JSONObject]
        await settle(
            Completion(
                key: lease.key,
                verdict: verdict,
                charge: Charge(),
                report: JSONAnswer.text(report)
            ),
            of: lease.profile,
            began: .now
        )
    }

    private func settle(
        _ completion: Completion,
        of profile: String,
        began: Instant
    ) async {
        await tally.add(profile: profile, verdict: completion.verdict, began: began)
        if case .fencedOff = await worker.settle(completion) {
            logger.notice("attempt \(completion.key) was fenced off: its task is somebody else's")
        }
    }
}
