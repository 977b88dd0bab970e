// SPDX-License-Identifier: Apache-2.0
package import Kernel

/// PostgreSQL, as long as it can be reached: one connection that is made again whenever it is lost.
///
/// `run` does the connecting and is a task of the root group. Statements are never repeated: what
/// to do after `lost` is for their author to know.
package actor Client {
    /// Whether statements go through now.
    package enum State: Sendable, Equatable {
        case connected
        /// Why not.
        case disconnected(PostgresError)
    }

    private enum Phase {
        case connecting(Connection?)
        case connected(Connection)
        case pausing(until: Instant, CheckedContinuation<Void, Never>, EventLoop.Timer)
        case closed
    }

    private struct Waiter {
        let continuation: CheckedContinuation<PostgresError?, Never>
        let timer: EventLoop.Timer
    }

    package nonisolated var unownedExecutor: UnownedSerialExecutor {
        loop.asUnownedSerialExecutor()
    }

    private nonisolated let loop: EventLoop
    private let session: Session
    private let origin: Connection.Origin
    private let notified: @Sendable (Notification) -> Void
    private let observed: @Sendable (State) -> Void
    private var random: any RandomNumberGenerator & Sendable
    private var backoff = Backoff(from: .milliseconds(50), to: .seconds(5))
    private var phase = Phase.connecting(nil)
    private var lastFailure = PostgresError.notConnected("no attempt was made yet")
    private var firstHost = 0
    private var waiters: [UInt64: Waiter] = [:]
    private var nextWaiter: UInt64 = 0

    /// `notified` gets what the session's channels bring, and `observed` each change of state; both
    /// on the loop's thread. Notifications of the time without a connection are gone: look for what
    /// they would have told whenever the state becomes `connected`.
    package init(
        _ target: ConnectionTarget,
        session: Session = Session(),
        on loop: EventLoop,
        random: any RandomNumberGenerator & Sendable = SystemRandomNumberGenerator(),
        notified: @escaping @Sendable (Notification) -> Void = { _ in },
        observed: @escaping @Sendable (State) -> Void = { _ in }
    ) {
        self.loop = loop
        self.session = session
        self.random = random
        self.notified = notified
        self.observed = observed
        var origin = Connection.Origin(target)
        origin.applicationName = session.applicationName
        self.origin = origin
    }

    // MARK: Life cycle

    /// Connects, and connects again, until `close` or until the task is cancelled.
    package func run() async {
        await withTaskCancellationHandler {
            while !isClosed { await live() }
        } onCancel: {
            loop.post { self.assumeIsolated { $0.end() } }
        }
    }

    /// Ends the connection and `run`; what is under way is lost. There is no way back.
    package func close() {
        end()
    }

    /// Whether statements go through, or why not.
    package var state: State {
        if case .connected = phase { .connected } else { .disconnected(lastFailure) }
    }

    /// One connection's life, and the pause after it.
    private func live() async {
        var isNew = true
        do throws(PostgresError) {
            let connection = try await connect()
            isNew = false
            publish(connection)
            lost(await connection.closed())
        } catch {
            lost(error)
        }
        await pause(afterFailingToConnect: isNew)
    }

    // MARK: Asking

    /// Executes one statement; see `Connection.query`.
    ///
    /// While a connection is being made it waits for `session.patience`; without the prospect of
    /// one it throws `notConnected` at once.
    package func query(
        _ statement: Statement,
        _ parameters: [String?] = [],
        deadline: Duration
    ) async throws(PostgresError) -> Rows {
        let connection = try await connected()
        do throws(PostgresError) {
            return try await connection.query(statement, parameters, deadline: deadline)
        } catch {
            await leaveIfWrong(connection, error)
            throw error
        }
    }

    /// Executes several statements in one text; see `Connection.script`.
    package func script(_ sql: String, deadline: Duration) async throws(PostgresError) {
        let connection = try await connected()
        do throws(PostgresError) {
            try await connection.script(sql, deadline: deadline)
        } catch {
            await leaveIfWrong(connection, error)
            throw error
        }
    }

    /// A server that became a standby says so only when it is written to.
    private func leaveIfWrong(_ connection: Connection, _ error: PostgresError) async {
        guard error.wantsAnotherServer else { return }
        await connection.retire("\(error)")
    }

    private func connected() async throws(PostgresError) -> Connection {
        if case .connected(let connection) = phase, await connection.isOpen { return connection }
        if !hasProspect { throw .notConnected("\(lastFailure)") }
        if let error = await waitForConnection() { throw error }
        // Lost again between the two: nothing was sent.
        guard case .connected(let connection) = phase else { throw .notConnected("\(lastFailure)") }
        return connection
    }

    /// Whether a connection may be there before the patience ends.
    private var hasProspect: Bool {
        switch phase {
        case .connecting, .connected: true
        case .pausing(let until, _, _): until < .now.advanced(by: session.patience)
        case .closed: false
        }
    }

    private func waitForConnection() async -> PostgresError? {
        guard waiters.count < session.limits.statements else {
            return .full(limit: session.limits.statements)
        }
        nextWaiter += 1
        let id = nextWaiter
        return await withCheckedContinuation { continuation in
            let timer = loop.schedule(at: .now.advanced(by: session.patience)) { [self] in
                self.assumeIsolated { $0.release(id, $0.impatience) }
            }
            waiters[id] = Waiter(continuation: continuation, timer: timer)
        }
    }

    private var impatience: PostgresError { .notConnected("\(lastFailure)") }

    private func release(_ id: UInt64, _ error: PostgresError?) {
        guard let waiter = waiters.removeValue(forKey: id) else { return }
        loop.cancel(waiter.timer)
        waiter.continuation.resume(returning: error)
    }

    private func releaseAll(_ error: PostgresError?) {
        for id in waiters.keys.sorted() { release(id, error) }
    }

    // MARK: Connecting

    private func connect() async throws(PostgresError) -> Connection {
        let connection = Connection(on: loop, limits: session.limits, notified: notified)
        phase = .connecting(connection)
        var origin = origin
        origin.firstHost = firstHost
        do throws(PostgresError) {
            try await connection.connect(origin, deadline: session.connectDeadline)
            try await connection.script(session.script, deadline: session.connectDeadline)
            try await session.prepare(connection)
            return connection
        } catch {
            await connection.close()
            throw error
        }
    }

    private func publish(_ connection: Connection) {
        // `close` came just before, and closed it.
        if isClosed { return }
        phase = .connected(connection)
        backoff.reset()
        observed(.connected)
        releaseAll(nil)
    }

    private func lost(_ error: PostgresError) {
        if isClosed { return }
        // With the first host silent, the others had no turn.
        if case .late = error { firstHost += 1 }
        lastFailure = error
        phase = .connecting(nil)
        observed(.disconnected(error))
    }

    private func pause(afterFailingToConnect hasFailed: Bool) async {
        if isClosed { return }
        let pause = backoff.next(using: &random)
        let until = Instant.now.advanced(by: pause)
        await withCheckedContinuation { continuation in
            let timer = loop.schedule(at: until) { [self] in self.assumeIsolated { $0.resume() } }
            phase = .pausing(until: until, continuation, timer)
        }
    }

    private func resume() {
        guard case .pausing(_, let continuation, let timer) = phase else { return }
        loop.cancel(timer)
        phase = .connecting(nil)
        continuation.resume()
    }

    // MARK: Ending

    private var isClosed: Bool {
        if case .closed = phase { true } else { false }
    }

    private func end() {
        let before = phase
        if isClosed { return }
        resume()
        phase = .closed
        lastFailure = .notConnected("it was closed")
        releaseAll(lastFailure)
        switch before {
        case .connected(let connection), .connecting(.some(let connection)):
            loop.post { connection.assumeIsolated { $0.close() } }
        case .connecting(nil), .pausing, .closed: break
        }
    }
}
