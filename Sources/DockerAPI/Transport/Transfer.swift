// SPDX-License-Identifier: Apache-2.0
internal import CCurl
internal import Glibc
internal import Kernel
internal import SystemPackage

/// One request and its answer: libcurl's easy handle, and what libcurl calls while it works.
///
/// It lives on the loop, and may only go when the multi handle has let go of it.
final class Transfer {
    let easy: UnsafeMutableRawPointer
    let limits: CallLimits
    let source: ArchiveSource?
    /// When a byte last moved.
    private(set) var lastMoved = Instant.now
    /// Told that the source has nothing yet; answers why nobody can wait for it, if nobody can.
    var starved: () -> Errno? = { nil }

    private let takeLine: (ArraySlice<UInt8>) throws(DockerError.Reason) -> Void
    private let takePiece: ((UnsafeRawBufferPointer) throws(DockerError.Reason) -> Void)?
    private let sockets: CurlSockets
    private var intake: AnswerIntake
    private var failure: DockerError.Reason?
    private var header: UnsafeMutablePointer<curl_slist>?
    private let errorText: UnsafeMutablePointer<CChar>

    /// Throws when there is no memory, or the source is none.
    init(_ request: EngineRequest, sockets: CurlSockets) throws(DockerError.Reason) {
        if case .archive(let file) = request.body {
            source = try ArchiveSource(file)
        } else {
            source = nil
        }
        guard let easy = curl_easy_init() else { throw .lost("out of memory") }
        self.easy = easy
        self.sockets = sockets
        limits = request.limits
        takeLine = request.takeLine ?? { _ in }
        takePiece = request.takePiece
        intake = AnswerIntake(limits: request.limits, byLine: request.takeLine != nil)
        errorText = .allocate(capacity: Int(CURL_ERROR_SIZE))
        errorText.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
    }

    deinit {
        curl_easy_cleanup(easy)
        curl_slist_free_all(header)
        errorText.deallocate()
    }

    /// Gives up, for this reason, unless there is one already.
    func fail(_ reason: DockerError.Reason) {
        failure = failure ?? reason
    }

    /// What came of it; `code` is libcurl's opinion, nil when it was not asked.
    func result(
        _ code: CURLcode?,
        socketPath: String
    ) -> Result<EngineAnswer, DockerError.Reason> {
        if let failure { return .failure(failure) }
        guard let code else { return .failure(.cancelled) }
        guard code == CURLE_OK else { return .failure(reason(of: code, socketPath)) }
        guard intake.hasWholeHeader else {
            return .failure(.lost("it was closed in the middle of the header"))
        }
        do throws(DockerError.Reason) {
            try intake.end(takeLine)
        } catch {
            return .failure(error)
        }
        return .success(intake.answer)
    }

    private func reason(of code: CURLcode, _ socketPath: String) -> DockerError.Reason {
        let own = String(cString: errorText)
        let text = Visible.text(own.isEmpty ? String(cString: curl_easy_strerror(code)) : own)
        switch code {
        case CURLE_COULDNT_CONNECT:
            // Without a reason it was EAGAIN, which libcurl takes for "not yet": the queue of a
            // Unix socket is full, and nobody accepts.
            let code = ccurl_connect_errno(easy)
            return .unreachable(
                path: socketPath,
                code == 0 ? .resourceTemporarilyUnavailable : Errno(rawValue: code)
            )
        case CURLE_UNSUPPORTED_PROTOCOL, CURLE_WEIRD_SERVER_REPLY:
            return .notAnEngine("it does not speak HTTP (\(text))")
        // A header line that is too long for libcurl, whose limit is larger than ours; newer ones
        // have a code of its own for it, CURLE_TOO_LARGE.
        case CURLE_OUT_OF_MEMORY, CURLcode(rawValue: 100):
            return .tooLarge(.header, limit: limits.headerBytes)
        case CURLE_GOT_NOTHING: return .lost("it was closed without an answer")
        default: return .lost(text)
        }
    }

    // MARK: Setting up

    func set(_ option: CURLoption, _ value: Int) {
        check(ccurl_set_long(easy, option, value))
    }

    func set(_ option: CURLoption, _ value: String) {
        check(ccurl_set_text(easy, option, value))
    }

    func check(_ code: CURLcode) {
        precondition(code == CURLE_OK, "libcurl lacks an option that we need")
    }

    func addHeader(_ line: String) {
        // nil is no memory, and leaves the list as it was.
        header = curl_slist_append(header, line) ?? header
    }

    /// Hands libcurl what stays ours, and lives as long as this object does.
    func setOwned() {
        let context = Unmanaged.passUnretained(self).toOpaque()
        check(ccurl_set_list(easy, CURLOPT_HTTPHEADER, header))
        check(ccurl_set_pointer(easy, CURLOPT_ERRORBUFFER, errorText))
        check(
            ccurl_set_takers(
                easy,
                { Transfer.from($3)?.take($0, $1 * $2, Transfer.header) ?? 0 },
                { Transfer.from($3)?.take($0, $1 * $2, Transfer.body) ?? 0 },
                context
            )
        )
        check(ccurl_set_giver(easy, { Transfer.from($3)?.give($0, $1 * $2) ?? 0 }, context))
        check(
            ccurl_set_sockets(
                easy,
                { context, _, address in Transfer.from(context)?.connect(address) ?? -1 },
                context,
                { context, number in
                    CurlSockets.from(context)?.close(number)
                    return 0
                },
                sockets.asContext
            )
        )
    }

    // MARK: Called by libcurl

    private static func from(_ context: UnsafeMutableRawPointer?) -> Transfer? {
        context.map { Unmanaged<Transfer>.fromOpaque($0).takeUnretainedValue() }
    }

    private typealias Taking =
        (Transfer) -> (UnsafeRawBufferPointer) throws(DockerError.Reason) -> Void

    /// Answers how much was taken; less than all of it ends the transfer.
    private func take(_ bytes: UnsafePointer<CChar>, _ count: Int, _ taking: Taking) -> Int {
        lastMoved = .now
        do throws(DockerError.Reason) {
            try taking(self)(UnsafeRawBufferPointer(start: bytes, count: count))
            return count
        } catch {
            fail(error)
            // Never `count`, not even when that is 0.
            return count == 0 ? 1 : 0
        }
    }

    private func header(_ bytes: UnsafeRawBufferPointer) throws(DockerError.Reason) {
        try intake.header(bytes)
        // An engine that is in trouble is not asked again on this connection.
        if intake.answer.status >= 500 { set(CURLOPT_FORBID_REUSE, 1) }
    }

    private func body(_ bytes: UnsafeRawBufferPointer) throws(DockerError.Reason) {
        if let takePiece, (200..<300).contains(intake.answer.status) {
            try takePiece(bytes)
        } else {
            try intake.body(bytes, takeLine)
        }
    }

    private func give(_ bytes: UnsafeMutablePointer<CChar>, _ count: Int) -> Int {
        guard let source else { return 0 }
        switch source.read(into: UnsafeMutableRawBufferPointer(start: bytes, count: count)) {
        case .bytes(let read):
            lastMoved = .now
            return read
        case .end: return 0
        case .wait:
            if let code = starved() { return giveUp(code) }
            return Int(CURL_READFUNC_PAUSE)
        case .failed(let code): return giveUp(code)
        }
    }

    private func giveUp(_ code: Errno) -> Int {
        fail(.source(code))
        return Int(CURL_READFUNC_ABORT)
    }

    private func connect(_ address: UnsafePointer<curl_sockaddr>) -> Int32 {
        do throws(Errno) {
            return try sockets.open(address)
        } catch {
            fail(.lost("no socket can be made: \(error)"))
            return CURL_SOCKET_BAD
        }
    }
}
