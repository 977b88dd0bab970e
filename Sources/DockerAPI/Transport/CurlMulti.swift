// SPDX-License-Identifier: Apache-2.0
internal import CCurl
internal import Kernel
internal import SystemPackage

/// libcurl's multi handle on the event loop: any number of transfers, none of which waits.
///
/// It belongs to an actor of the loop. `close` it: what libcurl keeps open is open otherwise.
final class CurlMulti {
    typealias Completion = (Result<EngineAnswer, DockerError.Reason>) -> Void

    private struct Running {
        let transfer: Transfer
        let completion: Completion
        var deadline: EventLoop.Timer?
        var silence: EventLoop.Timer?
        var sourceWatch: EventLoop.Watch?
    }

    /// Connections that are kept for the next question.
    private static let keptConnections = 4

    /// Sets libcurl up, once; no TLS, for nothing here speaks it.
    private static let isReady = curl_global_init(0) == CURLE_OK

    private let loop: EventLoop
    private let socketPath: String
    private let multi: UnsafeMutableRawPointer
    private let sockets: CurlSockets
    private var running: [UInt64: Running] = [:]
    private var timer: EventLoop.Timer?
    private var isClosed = false
    /// Whether libcurl could not go on; then another one is to be made.
    private(set) var isBroken = false

    /// nil: out of memory.
    init?(socketPath: String, on loop: EventLoop) {
        guard Self.isReady, let multi = curl_multi_init() else { return nil }
        self.multi = multi
        self.loop = loop
        self.socketPath = socketPath
        sockets = CurlSockets(on: loop)
        let code = ccurl_set_multi(
            multi,
            { _, socket, what, context, _ in
                CurlMulti.from(context)?.watch(socket, for: what) ?? -1
            },
            { _, milliseconds, context in
                CurlMulti.from(context)?.schedule(milliseconds)
                return 0
            },
            Unmanaged.passUnretained(self).toOpaque(),
            Self.keptConnections
        )
        precondition(code == CURLM_OK, "libcurl lacks an option that we need")
        sockets.ready = { [weak self] socket in self?.act(on: socket) }
    }

    deinit {
        precondition(isClosed, "a multi handle was let go without being closed")
    }

    /// Ends every transfer for `reason`, and every connection.
    func close(_ reason: DockerError.Reason) {
        guard !isClosed else { return }
        for id in running.keys.sorted() { abort(id, reason) }
        isClosed = true
        curl_multi_cleanup(multi)
        timer.map(loop.cancel)
    }

    /// The user who listens on the socket, by the last connection; nil before the first.
    var listener: UInt32? { sockets.listener }

    // MARK: Transfers

    /// Begins; `completion` is called once, later, on the loop.
    func start(
        _ id: UInt64,
        _ request: EngineRequest,
        path: String,
        _ completion: @escaping Completion
    ) {
        let transfer: Transfer
        do throws(DockerError.Reason) {
            transfer = try Transfer(request, sockets: sockets)
        } catch {
            return completion(.failure(error))
        }
        transfer.describe(request, path: path, socketPath: socketPath)
        transfer.starved = { [weak self] in self?.awaitSource(of: id) }
        running[id] = Running(transfer: transfer, completion: completion)
        setDeadline(of: id, request.limits.deadline)
        // One that is as long as the deadline adds nothing, and the deadline is the better word.
        if transfer.limits.silence < transfer.limits.deadline { watchSilence(of: id) }
        let code = curl_multi_add_handle(multi, transfer.easy)
        if code != CURLM_OK { broke(code) }
    }

    /// Ends a transfer, if it is not over: its connection is closed.
    func abort(_ id: UInt64, _ reason: DockerError.Reason) {
        running[id]?.transfer.fail(reason)
        finish(id, nil)
    }

    private func finish(_ id: UInt64, _ code: CURLcode?) {
        guard let ended = running.removeValue(forKey: id) else { return }
        ended.deadline.map(loop.cancel)
        ended.silence.map(loop.cancel)
        ended.sourceWatch.map(loop.unwatch)
        // Fails only for a handle that is not in it, which is the case when adding it failed.
        curl_multi_remove_handle(multi, ended.transfer.easy)
        ended.completion(ended.transfer.result(code, socketPath: socketPath))
    }

    private func setDeadline(of id: UInt64, _ deadline: Duration) {
        running[id]?.deadline = loop.schedule(at: .now.advanced(by: deadline)) { [weak self] in
            self?.abort(id, .late(after: deadline))
        }
    }

    /// Looks again when the longest silence after the last byte would be over.
    private func watchSilence(of id: UInt64) {
        guard let transfer = running[id]?.transfer else { return }
        let limit = transfer.limits.silence
        let end = transfer.lastMoved.advanced(by: limit)
        guard end > .now else { return abort(id, .silent(for: limit)) }
        running[id]?.silence = loop.schedule(at: end) { [weak self] in self?.watchSilence(of: id) }
    }

    // MARK: Bodies from pipes

    private func awaitSource(of id: UInt64) -> Errno? {
        guard let source = running[id]?.transfer.source, running[id]?.sourceWatch == nil else {
            return nil
        }
        do throws(Errno) {
            running[id]?.sourceWatch = try loop.watch(source.file, for: .readable) { [weak self] in
                self?.resumeSource(of: id)
            }
            return nil
        } catch {
            return error
        }
    }

    private func resumeSource(of id: UInt64) {
        guard let transfer = running[id]?.transfer else { return }
        running[id]?.sourceWatch.map(loop.unwatch)
        running[id]?.sourceWatch = nil
        let code = curl_easy_pause(transfer.easy, CURLPAUSE_CONT)
        if code != CURLE_OK { abort(id, .lost(String(cString: curl_easy_strerror(code)))) }
    }

    // MARK: Driving libcurl

    private func act(on socket: Int32) {
        var count: Int32 = 0
        let code = curl_multi_socket_action(multi, socket, 0, &count)
        if code != CURLM_OK { return broke(code) }
        collect()
    }

    private func collect() {
        var left: Int32 = 0
        while !isClosed, let message = curl_multi_info_read(multi, &left) {
            var code = CURLE_OK
            guard ccurl_is_done(message, &code) != 0, let easy = message.pointee.easy_handle,
                let id = running.first(where: { $0.value.transfer.easy == easy })?.key
            else { continue }
            finish(id, code)
        }
    }

    /// libcurl cannot go on, for want of memory or of watches: none of the transfers can.
    private func broke(_ code: CURLMcode) {
        isBroken = true
        let why = String(cString: curl_multi_strerror(code))
        for id in running.keys.sorted() { abort(id, .lost("libcurl gave up: \(why)")) }
    }

    // MARK: Called by libcurl

    private static func from(_ context: UnsafeMutableRawPointer?) -> CurlMulti? {
        context.map { Unmanaged<CurlMulti>.fromOpaque($0).takeUnretainedValue() }
    }

    private func watch(_ socket: Int32, for what: Int32) -> Int32 {
        do throws(Errno) {
            try sockets.watch(socket, for: what)
            return 0
        } catch {
            return -1
        }
    }

    private func schedule(_ milliseconds: Int) {
        timer.map(loop.cancel)
        timer = nil
        guard milliseconds >= 0 else { return }
        timer = loop.schedule(at: .now.advanced(by: .milliseconds(milliseconds))) { [weak self] in
            self?.act(on: CURL_SOCKET_TIMEOUT)
        }
    }
}
