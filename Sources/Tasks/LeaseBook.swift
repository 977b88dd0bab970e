// SPDX-License-Identifier: Apache-2.0
package import Kernel

/// What a node holds, and when it must let go of it. Pure: time is told, and what is to be done is
/// answered.
///
/// A lease lasts as long as its worker's heartbeats reach the database. The node measures that by its
/// own clock, from the moment *before* a heartbeat that was answered was sent, and lets go a margin
/// earlier than others may take over: two live attempts of a task never overlap.
package struct LeaseBook: Sendable {
    /// What the node is to do.
    package enum Action: Sendable, Hashable {
        /// End the attempt's sandbox now. Its completion may still be sent; the fence decides.
        case end(LeaseKey, LeaseOrder.Why)
        /// The worker is over: register anew before the next lease.
        case registerAnew
    }

    private enum Phase: Sendable {
        case running
        /// Told to end, not there yet.
        case ending
        /// Over, with its completion on the way to the database.
        case settling
    }

    /// How long a heartbeat makes the leases last.
    package let timeToLive: Duration
    /// How much earlier than that the node lets go.
    package let margin: Duration

    private var phases: [LeaseKey: Phase] = [:]
    private var lastBeat: Instant
    private var isOver = false

    /// Begins with a registration that was sent at `registered`.
    package init(timeToLive: Duration, margin: Duration, registered: Instant) {
        precondition(margin < timeToLive)
        self.timeToLive = timeToLive
        self.margin = margin
        lastBeat = registered
    }

    /// When the node lets go of everything unless another heartbeat is answered before.
    package var letsGoAt: Instant { lastBeat.advanced(by: timeToLive - margin) }

    /// Whether new leases may be taken.
    package var canLease: Bool { !isOver }

    /// What heartbeats speak of: leases that have not been settled.
    package var held: [LeaseKey] { Array(phases.keys) }

    /// How many attempts have not been settled.
    package var count: Int { phases.count }

    // MARK: What happens

    /// A lease was given to this node.
    package mutating func took(_ key: LeaseKey, at now: Instant) -> [Action] {
        phases[key] = .running
        return tick(now)
    }

    /// An attempt has ended; its completion is on its way.
    package mutating func ended(_ key: LeaseKey) {
        guard phases[key] != nil else { return }
        phases[key] = .settling
    }

    /// A completion was answered, one way or the other.
    package mutating func settled(_ key: LeaseKey) {
        phases[key] = nil
    }

    /// A heartbeat that was sent at `sent` was answered.
    package mutating func beat(sent: Instant, orders: [LeaseOrder]) -> [Action] {
        // Answers can overtake each other.
        lastBeat = max(lastBeat, sent)
        return orders.compactMap { end($0.key, $0.why) }
    }

    /// The database says that this worker's leases were taken away.
    package mutating func workerIsOver() -> [Action] {
        guard !isOver else { return [] }
        isOver = true
        return endAll() + [.registerAnew]
    }

    /// Time has passed.
    package mutating func tick(_ now: Instant) -> [Action] {
        guard !isOver, now >= letsGoAt else { return [] }
        return workerIsOver()
    }

    /// Somebody wants a task to end, and this node has it.
    package mutating func cancel(task: Int) -> [Action] {
        phases.keys.filter { $0.task == task }.compactMap { end($0, .cancel) }
    }

    /// A new registration, sent at `registered`. What is still ending belongs to the old one.
    package mutating func registered(_ registered: Instant) {
        lastBeat = registered
        isOver = false
    }

    private mutating func endAll() -> [Action] {
        phases.keys.sorted { ($0.task, $0.fence) < ($1.task, $1.fence) }
            .compactMap { end($0, .lost) }
    }

    private mutating func end(_ key: LeaseKey, _ why: LeaseOrder.Why) -> Action? {
        guard case .running = phases[key] else { return nil }
        phases[key] = .ending
        return .end(key, why)
    }
}
