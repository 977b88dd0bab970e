// SPDX-License-Identifier: Apache-2.0
internal import CPostgres
internal import Glibc
internal import Kernel
internal import SystemPackage

/// libpq's connection, seen from Swift: what never waits, and nothing that keeps a state of ours.
///
/// It belongs to an actor of the event loop. `close` it: the watch keeps it alive otherwise.
final class Link {
    /// How far the making of a connection is.
    enum Progress {
        case waiting
        case made
        case failed(String)
    }

    private let loop: EventLoop
    private let connection: OpaquePointer
    private let notices = Notices()
    private var watch: (watch: EventLoop.Watch, socket: Descriptor)?
    private var interest: EventLoop.Readiness = .readable
    private var isClosed = false

    /// Begins to connect. nil: out of memory.
    init?(_ parameters: [String: String], on loop: EventLoop) {
        let pairs = parameters.sorted { $0.key < $1.key }
        let started = ArgumentVector.with(pairs.map(\.key)) { keys in
            ArgumentVector.with(pairs.map(\.value)) { values in
                PQconnectStartParams(
                    keys.map { UnsafePointer($0) },
                    values.map { UnsafePointer($0) },
                    0
                )
            }
        }
        guard let started else { return nil }
        connection = started
        self.loop = loop
        PQsetNoticeReceiver(
            connection,
            { context, notice in
                guard let context, let notice else { return }
                Unmanaged<Notices>.fromOpaque(context).takeUnretainedValue().hear(notice)
            },
            Unmanaged.passUnretained(notices).toOpaque()
        )
    }

    deinit {
        precondition(isClosed, "a link was let go without being closed")
    }

    /// Ends the connection, at once.
    func close() {
        guard !isClosed else { return }
        isClosed = true
        unwatch()
        PQfinish(connection)
    }

    // MARK: Connecting

    /// Goes on as far as it can, and has `handler` called when it is time to go on again.
    ///
    /// libpq may take another socket at each step (the next host), so the watch is a new one each
    /// time, and on a duplicate: the number of a closed socket is soon somebody else's.
    func advance(_ handler: @escaping () -> Void) -> Progress {
        unwatch()
        let polled =
            PQstatus(connection) == CONNECTION_BAD
            ? PGRES_POLLING_FAILED : PQconnectPoll(connection)
        switch polled {
        case PGRES_POLLING_READING: return rewatch(.readable, handler)
        case PGRES_POLLING_WRITING: return rewatch(.writable, handler)
        case PGRES_POLLING_OK:
            guard PQsetnonblocking(connection, 1) == 0, PQenterPipelineMode(connection) == 1 else {
                return .failed(lastError)
            }
            let watched = rewatch(.readable, handler)
            if case .failed = watched { return watched }
            return .made
        default: return .failed(lastError)
        }
    }

    /// The first step waits for the socket to be writable, as libpq's manual asks for.
    func begin(_ handler: @escaping () -> Void) -> Progress {
        guard PQstatus(connection) != CONNECTION_BAD else { return .failed(lastError) }
        return rewatch(.writable, handler)
    }

    private func rewatch(
        _ readiness: EventLoop.Readiness,
        _ handler: @escaping () -> Void
    ) -> Progress {
        do throws(Errno) {
            let socket = Descriptor(
                owning: try kernel { fcntl(PQsocket(connection), F_DUPFD_CLOEXEC, 0) }
            )
            watch = (try loop.watch(socket, for: readiness, handler), socket)
            interest = readiness
            return .waiting
        } catch {
            return .failed("watching the socket: \(error)")
        }
    }

    private func unwatch() {
        guard let watch else { return }
        loop.unwatch(watch.watch)
        self.watch = nil
    }

    // MARK: Sending

    /// Prepares a statement; false when the connection is broken.
    func sendPrepare(_ name: String, _ sql: String) -> Bool {
        PQsendPrepare(connection, name, sql, 0, nil) == 1
    }

    /// Executes a prepared statement; false when the connection is broken.
    func sendExecute(_ name: String, _ parameters: [String?]) -> Bool {
        TextParameters.with(parameters) { values in
            PQsendQueryPrepared(connection, name, Int32(values.count), values, nil, nil, 0) == 1
        }
    }

    /// Executes a statement without parameters; false when the connection is broken.
    func sendOnce(_ sql: String) -> Bool {
        PQsendQueryParams(connection, sql, 0, nil, nil, nil, nil, 0) == 1
    }

    /// Ends a transaction of the pipeline; false when the connection is broken.
    func sendSync() -> Bool {
        PQpipelineSync(connection) == 1
    }

    /// Leaves the pipeline, which must be empty, for several statements in one text.
    func sendScript(_ sql: String) -> Bool {
        PQexitPipelineMode(connection) == 1 && PQsendQuery(connection, sql) == 1
    }

    /// Undoes what a script left open, before the pipeline is entered again.
    func sendRollback() -> Bool {
        PQsendQuery(connection, "ROLLBACK") == 1
    }

    /// Back to the pipeline after a script's last result.
    func resumePipeline() -> Bool {
        PQenterPipelineMode(connection) == 1
    }

    /// Writes what the socket takes, and waits for it to take the rest; false when it is broken.
    func flush() -> Bool {
        let left = PQflush(connection)
        let wanted: EventLoop.Readiness = left == 1 ? [.readable, .writable] : .readable
        if let watch, wanted != interest {
            loop.change(watch.watch, to: wanted)
            interest = wanted
        }
        return left >= 0
    }

    // MARK: Receiving

    /// Reads what is there; false when the other side is gone.
    func receive() -> Bool {
        PQconsumeInput(connection) == 1
    }

    /// Whether `next` would have to wait.
    var isBusy: Bool { PQisBusy(connection) == 1 }

    /// The next result; nil is libpq's mark between two.
    func next() -> Reply? {
        guard let result = PQgetResult(connection) else { return nil }
        defer { PQclear(result) }
        return Reply(result)
    }

    /// The next notification that has come.
    func nextNotification() -> Notification? {
        guard let notification = PQnotifies(connection) else { return nil }
        defer { PQfreemem(notification) }
        return Notification(
            channel: String(cString: notification.pointee.relname),
            payload: String(cString: notification.pointee.extra),
            backend: notification.pointee.be_pid
        )
    }

    /// Whether no transaction is open.
    var isOutsideTransaction: Bool { PQtransactionStatus(connection) == PQTRANS_IDLE }

    /// The server's process.
    var backend: Int32 { PQbackendPID(connection) }

    /// The server's last words if it had any, else libpq's.
    var lastError: String {
        precondition(!isClosed)
        let own = String(cString: PQerrorMessage(connection)).onOneLine
        return notices.farewell ?? (own.isEmpty ? "the server closed the connection" : own)
    }
}

/// What a server says that nobody asked; only its last words matter.
private final class Notices {
    private(set) var farewell: String?

    func hear(_ notice: OpaquePointer) {
        guard cpq_error_is_fatal(notice) != 0 else { return }
        farewell = String(cString: cpq_error_message(notice))
    }
}
