// SPDX-License-Identifier: Apache-2.0
import Kernel
import Postgres
import Tasks
import Testing

/// A node without sandboxes: its three connections, and a worker that registers and beats.
struct TestNode: Sendable {
    let queue: TaskQueue
    let worker: Worker
    /// What the listening connection was told.
    let notifications: AsyncStream<Postgres.Notification>
    /// Each change of the listening connection's state.
    let states: AsyncStream<Client.State>

    /// Runs `body` beside a node whose leases last for `timeToLive` and that has registered.
    static func with<Value: Sendable>(
        _ string: String,
        name: String = "node",
        timeToLive: Duration = .seconds(20),
        unsettled: @escaping @Sendable (LeaseKey, TaskError) -> Void = {
            Issue.record("\($0) is not settled: \($1)")
        },
        _ body: (TestNode) async throws -> Value
    ) async throws -> Value {
        let target = try ConnectionTarget(string)
        let loop = try TaskDatabase.loop.get()
        let (notifications, teller) = AsyncStream.makeStream(of: Postgres.Notification.self)
        let (states, observer) = AsyncStream.makeStream(of: Client.State.self)
        // Beside a hundred other tests, coming back takes its time.
        var session = Session()
        session.patience = .seconds(5)
        var listening = session
        listening.channels = ["sandboxd_ready", "sandboxd_cancel"]
        let queue = TaskQueue(
            work: Client(target, session: session, on: loop),
            beats: Client(target, session: session, on: loop),
            watch: Client(
                target,
                session: listening,
                on: loop,
                notified: { teller.yield($0) },
                observed: { observer.yield($0) }
            )
        )
        let identity = Worker.Identity(
            node: name,
            bootID: "boot",
            version: "test",
            timeToLive: timeToLive
        )
        let node = TestNode(
            queue: queue,
            worker: Worker(queue, identity, unsettled: unsettled),
            notifications: notifications,
            states: states
        )
        return try await node.live(body)
    }

    private func live<Value: Sendable>(
        _ body: (TestNode) async throws -> Value
    ) async throws -> Value {
        let (registered, bell) = AsyncStream.makeStream(of: Void.self)
        await worker.watch { if case .registered = $0 { bell.yield() } }
        return try await withThrowingTaskGroup(of: Void.self) { group in
            let clients = [queue.work, queue.beats, queue.watch]
            for client in clients { group.addTask { await client.run() } }
            group.addTask { await worker.run() }
            func end() async {
                await worker.abandon()
                for client in clients { await client.close() }
                group.cancelAll()
            }
            do {
                for await _ in registered { break }
                let value = try await body(self)
                await end()
                return value
            } catch {
                await end()
                throw error
            }
        }
    }

    /// The worker's number.
    var number: Int {
        get async throws {
            guard case .registered(let number) = await worker.state else {
                throw TaskError.unavailable("the worker is \(await worker.state)")
            }
            return number
        }
    }

    /// Leases once, and holds what came as one that runs.
    func lease(_ most: Int) async throws(TaskError) -> [LeaseKey] {
        let leases = try await worker.lease(most: most, memoryMiB: 1 << 30, afterLane: 0)
        for lease in leases { await worker.hold(lease.key, .idle) }
        return leases.map(\.key)
    }

    /// Settles attempts that all ended alike, at once; answers what became of them.
    func settle(
        _ keys: [LeaseKey],
        verdict: String = "ok",
        report: String? = nil
    ) async -> [LeaseKey: Settlement] {
        var charge = Charge()
        charge.cpuMilliseconds = 10
        return await settle(
            keys.map { Completion(key: $0, verdict: verdict, charge: charge, report: report) }
        )
    }

    /// Settles attempts at once; answers what became of them.
    func settle(_ completions: [Completion]) async -> [LeaseKey: Settlement] {
        await withTaskGroup(of: (LeaseKey, Settlement).self) { group in
            for completion in completions {
                group.addTask {
                    // A test that fails does not wait for a database that will never answer.
                    return await withTaskCancellationHandler {
                        (completion.key, await worker.settle(completion))
                    } onCancel: {
                        Task { await worker.abandon() }
                    }
                }
            }
            return await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
    }

    /// The next state of the listening connection that is what is asked for.
    func wait(until isIt: (Client.State) -> Bool) async -> Client.State? {
        for await state in states where isIt(state) { return state }
        return nil
    }
}

extension Worker.Holder {
    /// An attempt that uses nothing, and for which nobody cares.
    static let idle = Worker.Holder(end: { _ in }, usage: { nil }, keep: { _ in })
}
