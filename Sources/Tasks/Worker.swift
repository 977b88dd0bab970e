// SPDX-License-Identifier: Apache-2.0
internal import Kernel

/// This node among those that lease: registers, keeps its leases alive, and lets go of them in time.
///
/// What is to be done when is in `LeaseBook`; this sends and waits.
package actor Worker {
    /// Whether this node may lease and settle now.
    package enum State: Sendable, Hashable {
        /// Not registered yet, or not any more; for this reason.
        case waiting(String)
        case registered(worker: Int)
        case stopped
    }

    /// No statement's answer comes later than that.
    private static let answerLimit = Duration.seconds(60)

    private let queue: TaskQueue
    private let completer: Completer
    private let identity: Identity
    private let unsettled: @Sendable (LeaseKey, TaskError) -> Void
    private var book: LeaseBook
    private var holders: [LeaseKey: Holder] = [:]
    /// Ends that came before there was anybody to tell.
    private var endedEarly: [LeaseKey: LeaseOrder.Why] = [:]
    private var lastUsage: [LeaseKey: Charge] = [:]
    /// Leases that `settleUnheard` found once.
    private var suspects: Set<LeaseKey> = []
    /// What was used by attempts that ran and whose completion the database refused.
    private var refused: [LeaseKey: Charge] = [:]
    /// Those that it has settled, and when: an answer that gives one after all comes too late.
    private var renounced: [LeaseKey: Instant] = [:]
    private var watchers: [@Sendable (State) -> Void] = []

    /// The present state.
    package private(set) var state = State.waiting("the database has not been reached yet") {
        didSet { if state != oldValue { for watcher in watchers { watcher(state) } } }
    }

    /// `unsettled` is told of each completion that the database did not take, and why.
    package init(
        _ queue: TaskQueue,
        _ identity: Identity,
        unsettled: @escaping @Sendable (LeaseKey, TaskError) -> Void
    ) {
        self.queue = queue
        self.identity = identity
        self.unsettled = unsettled
        completer = Completer(queue) { pause in
            // Waking early only means trying early.
            try? await Task.sleep(for: pause)
        }
        book = LeaseBook(
            timeToLive: identity.timeToLive,
            margin: identity.timeToLive / 5,
            registered: .now
        )
    }

    /// Calls `watcher` at each change of state.
    package func watch(_ watcher: @escaping @Sendable (State) -> Void) {
        watchers.append(watcher)
    }

    // MARK: Life

    /// Registers and beats until the task is cancelled.
    package func run() async {
        while !Task.isCancelled {
            if case .registered(let worker) = state {
                await beat(worker)
            } else {
                await register()
            }
            await rest()
        }
        state = .stopped
    }

    private func register() async {
        let sent = Instant.now
        do throws(TaskError) {
            // Whoever hears that this node is registered makes use of the others, too.
            try await queue.check()
            let worker = try await queue.register(
                node: identity.node,
                timeToLive: identity.timeToLive,
                bootID: identity.bootID,
                version: identity.version
            )
            book.registered(sent)
            state = .registered(worker: worker)
        } catch {
            state = .waiting(error.reason)
        }
    }

    private func beat(_ worker: Int) async {
        await collectUsage()
        let sent = Instant.now
        do throws(TaskError) {
            let orders = try await queue.heartbeat(
                worker: worker,
                timeToLive: identity.timeToLive,
                usage: Dictionary(
                    uniqueKeysWithValues: book.held.map { ($0, lastUsage[$0] ?? Charge()) }
                )
            )
            // A lease that was taken while the heartbeat was on its way is none of its business.
            carryOut(book.beat(sent: sent, orders: orders))
            for holder in holders.values { await holder.keep(book.letsGoAt) }
        } catch .workerOver {
            carryOut(book.workerIsOver())
        } catch {
            // Tried again soon; when it goes on for too long, the book lets go.
        }
        carryOut(book.tick(.now))
    }

    private func collectUsage() async {
        for (key, holder) in holders {
            guard let usage = await holder.usage() else { continue }
            lastUsage[key] = usage
        }
    }

    /// Until the next heartbeat, or until all must be let go.
    private func rest() async {
        var pause = identity.timeToLive / 4
        switch state {
        case .registered:
            let left = Duration.nanoseconds(
                Int64(clamping: book.letsGoAt.nanoseconds)
                    - Int64(clamping: Instant.now.nanoseconds)
            )
            pause = max(.milliseconds(10), min(pause, left))
        case .waiting: pause = .milliseconds(250)
        case .stopped: return
        }
        // Cancelled: `run` sees it.
        try? await Task.sleep(for: pause)
    }

    private func carryOut(_ actions: [LeaseBook.Action]) {
        for action in actions {
            switch action {
            case .end(let key, let why):
                if let holder = holders[key] { holder.end(why) } else { endedEarly[key] = why }
            case .registerAnew:
                state = .waiting("this node was silent for too long, and registers anew")
            }
        }
    }

    // MARK: Leases

    /// Takes tasks that are ready; see `TaskQueue.lease`. Each must be held, and settled.
    package func lease(
        most: Int,
        memoryMiB: Int,
        afterLane: Int
    ) async throws(TaskError) -> [Lease] {
        let worker = try registered()
        let sent = Instant.now
        let leases: [Lease]
        do throws(TaskError) {
            leases = try await queue.lease(
                worker: worker,
                most: most,
                memoryMiB: memoryMiB,
                afterLane: afterLane
            )
        } catch {
            if error == .workerOver { carryOut(book.workerIsOver()) }
            throw error
        }
        let kept = leases.filter { renounced[$0.key] == nil }
        for lease in kept { carryOut(book.took(lease.key, at: sent)) }
        return kept
    }

    /// Begins a direct run; see `TaskQueue.beginRun`. With a fence it must be held, and settled.
    package func beginRun(
        attemptID: String,
        profile: String,
        spec: String,
        account: TaskQueue.Account
    ) async throws(TaskError) -> (task: Int, fence: Int?) {
        let worker = try registered()
        let sent = Instant.now
        let begun: (task: Int, fence: Int?)
        do throws(TaskError) {
            begun = try await queue.beginRun(
                worker: worker,
                attemptID: attemptID,
                profile: profile,
                spec: spec,
                account: account
            )
        } catch {
            if error == .workerOver { carryOut(book.workerIsOver()) }
            throw error
        }
        if let fence = begun.fence {
            let key = LeaseKey(task: begun.task, fence: fence)
            guard renounced[key] == nil else {
                throw .unavailable("its answer came so late that the run was given up: try again")
            }
            carryOut(book.took(key, at: sent))
        }
        return begun
    }

    /// Says how to reach an attempt of a lease.
    package func hold(_ key: LeaseKey, _ holder: Holder) async {
        holders[key] = holder
        if let why = endedEarly.removeValue(forKey: key) { holder.end(why) }
        await holder.keep(book.letsGoAt)
    }

    /// Settles an attempt; comes back when the database has said what became of it.
    package func settle(_ completion: Completion) async -> Settlement {
        let key = completion.key
        book.ended(key)
        holders[key] = nil
        endedEarly[key] = nil
        lastUsage[key] = completion.charge
        var worker = 0
        if case .registered(let number) = state { worker = number }
        let settlement = await completer.settle(completion, worker: worker)
        if case .unsettled(let error) = settlement {
            refused[key] = completion.charge
            unsettled(key, error)
        }
        book.settled(key)
        lastUsage[key] = nil
        return settlement
    }

    /// Settles leases that this worker has and knows nothing of: the database gave them in an answer
    /// that never came, for a connection was lost on the way, so nothing ran, and nothing will; or it
    /// refused their completion, so they did run. Otherwise the heartbeats would keep them for ever.
    /// One is taken for such when two calls in a row find it; should its answer still come, it is not
    /// taken.
    package func settleUnheard() async throws(TaskError) -> [LeaseKey] {
        let worker = try registered()
        let before = Set(book.held)
        let known = refused
        let leased = try await queue.leases(of: worker)
        let unheard = leased.subtracting(before).subtracting(book.held)
        let overdue = unheard.intersection(suspects)
        suspects = unheard
        for key in known.keys where !leased.contains(key) { refused[key] = nil }
        let now = Instant.now
        renounced = renounced.filter { $0.value.advanced(by: Self.answerLimit) > now }
        guard !overdue.isEmpty else { return [] }
        for key in overdue { renounced[key] = now }
        func ended(_ key: LeaseKey, _ used: Charge, _ from: Completion.Source) -> Completion {
            Completion(key: key, verdict: "engine_error", charge: used, source: from)
        }
        for (key, charge) in refused where overdue.contains(key) {
            do throws(TaskError) {
                _ = try await queue.settle(worker: worker, [ended(key, charge, .heartbeat)])
            } catch {
                // It may be these figures that are refused.
                guard error.isRefusal else { throw error }
                _ = try await queue.settle(worker: worker, [ended(key, Charge(), .heartbeat)])
            }
        }
        let lost = overdue.filter { refused[$0] == nil }
        if !lost.isEmpty {
            let completions = lost.map { ended($0, Charge(), .unheard) }
            _ = try await queue.settle(worker: worker, completions)
        }
        return overdue.sorted { ($0.task, $0.fence) < ($1.task, $1.fence) }
    }

    /// The leases that this node holds or has yet to settle.
    package var held: [LeaseKey] { book.held }

    /// Somebody cancelled a task; if it is held here, it ends now instead of at the next heartbeat.
    package func cancelled(task: Int) {
        carryOut(book.cancel(task: task))
    }

    /// Whether the worker wants to be told of new tasks.
    package func setWaiting(_ isWaiting: Bool) async throws(TaskError) {
        try await queue.setWaiting(worker: registered(), isWaiting)
    }

    /// Takes no new tasks from now on, or takes them again.
    package func drain(_ isDraining: Bool) async throws(TaskError) {
        try await queue.drain(worker: registered(), isDraining)
    }

    /// Waits no longer for a database that does not answer: the daemon is to end.
    package func abandon() async {
        await completer.abandon()
    }

    private func registered() throws(TaskError) -> Int {
        switch state {
        case .registered(let worker): return worker
        case .waiting(let why): throw .unavailable(why)
        case .stopped: throw .unavailable("the daemon is stopping")
        }
    }
}
