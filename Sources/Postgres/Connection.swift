// SPDX-License-Identifier: Apache-2.0
package import Kernel

/// One session with a PostgreSQL server, on the event loop, with many statements under way.
///
/// Statements are sent as they come and answered in that order; each is a transaction of its own,
/// so that a refused one does not disturb its neighbours. A session that is in doubt is closed, and
/// never mended: `Client` makes another one. It must be closed; until then the loop keeps it alive.
package actor Connection {
    private typealias Answer = CheckedContinuation<Result<Rows, PostgresError>, Never>

    private enum State {
        case new
        case connecting(Link, CheckedContinuation<PostgresError?, Never>)
        case open(Link)
        case closed(PostgresError)
    }

    private struct Waiter {
        let answer: Answer
        let deadline: EventLoop.Timer
    }

    package nonisolated var unownedExecutor: UnownedSerialExecutor {
        loop.asUnownedSerialExecutor()
    }

    private nonisolated let loop: EventLoop
    private let notified: @Sendable (Notification) -> Void
    private var state = State.new
    private var pipeline: Pipeline
    private var waiters: [UInt64: Waiter] = [:]
    private var mourners: [CheckedContinuation<PostgresError, Never>] = []
    private var retirement: String?
    private var connectDeadline: EventLoop.Timer?

    /// One that `connect` is still to be said to. `notified` is called on the loop's thread.
    package init(
        on loop: EventLoop,
        limits: Limits = Limits(),
        notified: @escaping @Sendable (Notification) -> Void = { _ in }
    ) {
        self.loop = loop
        self.notified = notified
        pipeline = Pipeline(limit: limits.statements, byteLimit: limits.parameterBytes)
    }

    // MARK: Life cycle

    /// Connects. Throws `unreachable`, or `late` at the deadline; nothing is left open then.
    package func connect(_ origin: Origin, deadline: Duration) async throws(PostgresError) {
        guard case .new = state else { throw .notConnected(whyNot) }
        if let error = await establish(origin, deadline) { throw error }
    }

    /// Ends the session; what is under way is lost. A closed one stays as it is.
    package func close() {
        end("it was closed")
    }

    /// Takes no more statements and closes once those under way are answered.
    package func retire(_ reason: String) {
        retirement = retirement ?? reason
        closeIfRetired()
    }

    /// Waits for the end of the session and says why it came.
    package func closed() async -> PostgresError {
        await withCheckedContinuation { continuation in
            if case .closed(let reason) = state {
                continuation.resume(returning: reason)
            } else {
                mourners.append(continuation)
            }
        }
    }

    /// Whether statements are taken.
    package var isOpen: Bool {
        if case .open = state { retirement == nil } else { false }
    }

    /// The server's process; nil without a session.
    package var backend: Int32? {
        if case .open(let link) = state { link.backend } else { nil }
    }

    // MARK: Asking

    /// Executes one statement, with its parameters as texts; nil is NULL.
    ///
    /// At the deadline the session is closed, for nothing is known of it any more. A task that is
    /// cancelled while it waits goes on waiting.
    package func query(
        _ statement: Statement,
        _ parameters: [String?] = [],
        deadline: Duration
    ) async throws(PostgresError) -> Rows {
        if let refusal = TextParameters.refusal(parameters) { throw refusal }
        return try await ask("the statement \(statement.name)", deadline) {
            pipeline throws(PostgresError) in try pipeline.ask(statement, parameters)
        }
    }

    /// Executes several statements in one text, alone: before it, what was asked earlier is
    /// answered. Without BEGIN they are one transaction.
    package func script(_ sql: String, deadline: Duration) async throws(PostgresError) {
        if let refusal = TextParameters.refusal([sql]) { throw refusal }
        _ = try await ask("a script", deadline) { pipeline throws(PostgresError) in
            try pipeline.ask(script: sql)
        }
    }

    private func ask(
        _ doing: String,
        _ limit: Duration,
        _ admit: (inout Pipeline) throws(PostgresError) -> UInt64
    ) async throws(PostgresError) -> Rows {
        guard isOpen else { throw .notConnected(whyNot) }
        let id = try admit(&pipeline)
        return try await withCheckedContinuation { (answer: Answer) in
            let deadline = loop.schedule(at: .now.advanced(by: limit)) { [self] in
                self.assumeIsolated { $0.giveUp(id, .late(doing: doing, after: limit)) }
            }
            waiters[id] = Waiter(answer: answer, deadline: deadline)
            send()
        }.get()
    }

    private var whyNot: String {
        switch state {
        case .new, .connecting: "the connection is being made"
        case .open: retirement ?? "it is open"
        case .closed(let reason): "\(reason)"
        }
    }

    // MARK: Connecting

    private func establish(_ origin: Origin, _ limit: Duration) async -> PostgresError? {
        let parameters: [String: String]
        do throws(PostgresError) {
            parameters = try origin.target.parameters(
                beginningWithHost: origin.firstHost,
                applicationName: origin.applicationName
            )
        } catch {
            state = .closed(error)
            return error
        }
        guard let link = Link(parameters, on: loop) else {
            state = .closed(.unreachable("out of memory"))
            return .unreachable("out of memory")
        }
        let late = PostgresError.late(doing: "connecting to \(origin.target)", after: limit)
        let error = await withCheckedContinuation { continuation in
            let deadline = loop.schedule(at: .now.advanced(by: limit)) { [self] in
                self.assumeIsolated { $0.connected(late) }
            }
            connectDeadline = deadline
            state = .connecting(link, continuation)
            handle(link.begin { [self] in self.assumeIsolated { $0.ready() } })
        }
        guard case .unreachable(let reason) = error else { return error }
        return .unreachable(origin.target.redacting(reason, parameters))
    }

    private func handle(_ progress: Link.Progress) {
        switch progress {
        case .waiting: break
        case .made: connected(nil)
        case .failed(let reason): connected(.unreachable(reason))
        }
    }

    private func connected(_ error: PostgresError?) {
        guard case .connecting(let link, let continuation) = state else { return }
        connectDeadline.map(loop.cancel)
        if let error {
            link.close()
            state = .closed(error)
        } else {
            state = .open(link)
        }
        continuation.resume(returning: error)
    }

    // MARK: The session

    private func ready() {
        switch state {
        case .new, .closed: break
        case .connecting(let link, _):
            handle(link.advance { [self] in self.assumeIsolated { $0.ready() } })
        case .open(let link):
            let isAlive = link.receive()
            // What was said last still counts, so the end is only told after it.
            readReplies(link)
            guard case .open = state else { return }
            if isAlive { send() } else { end(link.lastError) }
        }
    }

    private func readReplies(_ link: Link) {
        var marks = 0
        while case .open = state, !link.isBusy {
            let reply = link.next()
            // Without anything asked, one call lets libpq know that nothing is; two marks in a row
            // say that it has no more.
            marks = reply == nil ? marks + 1 : 0
            handle(pipeline.take(reply), link)
            if marks > 1 || (reply == nil && pipeline.isIdle) { break }
        }
        while case .open = state, let notification = link.nextNotification() {
            notified(notification)
        }
    }

    private func handle(_ step: Pipeline.Step, _ link: Link) {
        switch step {
        case .more: break
        case .broken(let reason): end(reason)
        case .settled(let id, let result): settle(id, result)
        case .scriptEnded:
            if !link.isOutsideTransaction {
                pipeline.noteOpenTransaction()
                if !link.sendRollback() { end(link.lastError) }
            } else if link.resumePipeline() {
                let (id, outcome) = pipeline.endScript()
                settle(id, outcome)
            } else {
                end(link.lastError)
            }
        }
    }

    private func send() {
        while case .open(let link) = state, let next = pipeline.nextToSend() {
            if !Self.send(next, on: link) { return end(link.lastError) }
        }
        guard case .open(let link) = state else { return }
        if !link.flush() { return end(link.lastError) }
        closeIfRetired()
    }

    private static func send(_ sending: Pipeline.Sending, on link: Link) -> Bool {
        switch sending {
        case .script(let sql): link.sendScript(sql)
        case .forget(let statement):
            link.sendOnce("DEALLOCATE \(Identifier.quoted(statement.name))") && link.sendSync()
        case .statement(let statement, let parameters, let prepareFirst):
            (!prepareFirst || link.sendPrepare(statement.name, statement.sql))
                && link.sendExecute(statement.name, parameters) && link.sendSync()
        }
    }

    // MARK: Ending

    private func settle(_ id: UInt64, _ result: Result<Rows, PostgresError>) {
        // Nobody waits for a DEALLOCATE.
        guard let waiter = waiters.removeValue(forKey: id) else { return }
        loop.cancel(waiter.deadline)
        waiter.answer.resume(returning: result)
    }

    private func giveUp(_ id: UInt64, _ error: PostgresError) {
        settle(id, .failure(error))
        end("it was closed, because of one that had no answer in time")
    }

    private func closeIfRetired() {
        if let retirement, pipeline.isEmpty { end(retirement) }
    }

    private func end(_ reason: String) {
        switch state {
        case .new: state = .closed(.lost(reason))
        case .connecting: connected(.unreachable(reason))
        case .closed: return
        case .open(let link):
            link.close()
            state = .closed(.lost(reason))
        }
        for (id, error) in pipeline.end(reason) { settle(id, .failure(error)) }
        for mourner in mourners { mourner.resume(returning: .lost(reason)) }
        mourners = []
    }
}
