// SPDX-License-Identifier: Apache-2.0
internal import Kernel
internal import Postgres

/// How a worker comes, lives and goes.
extension TaskQueue {
    /// What a heartbeat may take: less than the margin that leases leave.
    private static let beatDeadline = Duration.seconds(3)

    /// Makes this node a worker with leases of `timeToLive`; its earlier ones are over.
    package func register(
        node: String,
        timeToLive: Duration,
        bootID: String,
        version: String
    ) async throws(TaskError) -> Int {
        let rows = try await ask(
            beats,
            Statements.register,
            [node, Self.seconds(timeToLive), bootID, version]
        )
        return try Self.reading { () throws(PostgresError) in try rows.only().int("worker") }
    }

    /// Says that the worker lives, and what its leases have used; answers what to end.
    package func heartbeat(
        worker: Int,
        timeToLive: Duration,
        usage: [LeaseKey: Charge]
    ) async throws(TaskError) -> [LeaseOrder] {
        let held = Array(usage)
        let rows = try await ask(
            beats,
            Statements.heartbeat,
            [
                String(worker), Self.seconds(timeToLive),
                ArrayLiteral.integers(held.map(\.key.task)),
                ArrayLiteral.integers(held.map(\.key.fence)),
                ArrayLiteral.integers(held.map(\.value.cpuMilliseconds)),
                ArrayLiteral.integers(held.map(\.value.memoryMiBSeconds)),
                ArrayLiteral.integers(held.map(\.value.wallMilliseconds)),
                ArrayLiteral.integers(held.map(\.value.egressBytes)),
            ],
            within: Self.beatDeadline
        )
        var orders: [LeaseOrder] = []
        for row in rows {
            let why = try Self.reading { () throws(PostgresError) in try row.text("why") }
            if why == "over" { throw .workerOver }
            let key = try Self.reading { () throws(PostgresError) in try row.leaseKey() }
            orders.append(LeaseOrder(key: key, why: why == "cancel" ? .cancel : .lost))
        }
        return orders
    }

    /// Whether the worker wants to be told of new tasks.
    package func setWaiting(worker: Int, _ isWaiting: Bool) async throws(TaskError) {
        _ = try await ask(work, Statements.setWaiting, [String(worker), isWaiting ? "t" : "f"])
    }

    /// Lets the worker take no new tasks, on whatever connection.
    package func drain(worker: Int, _ isDraining: Bool) async throws(TaskError) {
        _ = try await ask(work, Statements.drain, [String(worker), isDraining ? "t" : "f"])
    }

    /// What a worker holds, by the database.
    package func leases(of worker: Int) async throws(TaskError) -> Set<LeaseKey> {
        Set(try Self.keys(try await ask(watch, Statements.leases, [String(worker)])))
    }

    /// The heartbeats of each worker that is not over.
    package func pulses() async throws(TaskError) -> [Int: BeatWatch.Pulse] {
        let rows = try await ask(watch, Statements.pulses, [])
        return try Self.reading { () throws(PostgresError) in
            var pulses: [Int: BeatWatch.Pulse] = [:]
            for row in rows {
                pulses[try row.int("worker_id")] = BeatWatch.Pulse(
                    beats: try row.int("beats"),
                    timeToLive: .seconds(try row.double("ttl_s")),
                    isPast: try row.bool("is_past")
                )
            }
            return pulses
        }
    }

    private static func seconds(_ duration: Duration) -> String {
        String(duration.milliseconds / 1000)
    }
}
