// SPDX-License-Identifier: Apache-2.0
internal import CCurl
internal import Glibc
internal import Kernel
internal import SystemPackage

/// The sockets that libcurl uses, which are ours: made, watched on the loop, and closed here.
///
/// libcurl could make them itself; but then the loop would watch numbers that somebody else closes.
final class CurlSockets {
    private struct Open {
        let socket: Descriptor
        var hasListener = false
        var watch: EventLoop.Watch?
    }

    private let loop: EventLoop
    private var sockets: [Int32: Open] = [:]
    /// Told of a socket that is ready for what it was watched for.
    var ready: (Int32) -> Void = { _ in }
    private var lastListener: UInt32?

    /// The user who listens at the other end, by the last connection that was made. An answer may have
    /// come so soon that nobody has waited for the socket.
    var listener: UInt32? {
        for number in sockets.keys { noteListener(number) }
        return lastListener
    }

    init(on loop: EventLoop) {
        self.loop = loop
    }

    /// Makes one, for libcurl to connect.
    func open(_ address: UnsafePointer<curl_sockaddr>) throws(Errno) -> Int32 {
        let number = ccurl_socket(address)
        guard number >= 0 else { throw Errno(rawValue: -number) }
        sockets[number] = Open(socket: Descriptor(owning: number))
        return number
    }

    /// Closes.
    func close(_ number: Int32) {
        noteListener(number)
        guard let open = sockets.removeValue(forKey: number) else { return }
        open.watch.map(loop.unwatch)
    }

    /// Has `ready` called for what libcurl waits for, which is one of its CURL_POLL values.
    func watch(_ number: Int32, for what: Int32) throws(Errno) {
        noteListener(number)
        guard var open = sockets[number] else { return }
        var readiness: EventLoop.Readiness = []
        if what & CURL_POLL_IN != 0 { readiness.insert(.readable) }
        if what & CURL_POLL_OUT != 0 { readiness.insert(.writable) }
        if what == CURL_POLL_REMOVE || readiness.isEmpty {
            open.watch.map(loop.unwatch)
            open.watch = nil
        } else if let watch = open.watch {
            loop.change(watch, to: readiness)
        } else {
            open.watch = try loop.watch(open.socket, for: readiness) { [weak self] in
                self?.ready(number)
            }
        }
        sockets[number] = open
    }

    /// A Unix socket is connected at once, or not at all.
    private func noteListener(_ number: Int32) {
        var user: UInt32 = 0
        guard sockets[number]?.hasListener == false, ccurl_peer_user(number, &user) == 0
        else { return }
        lastListener = user
        sockets[number]?.hasListener = true
    }

    // MARK: Called by libcurl

    var asContext: UnsafeMutableRawPointer { Unmanaged.passUnretained(self).toOpaque() }

    static func from(_ context: UnsafeMutableRawPointer?) -> CurlSockets? {
        context.map { Unmanaged<CurlSockets>.fromOpaque($0).takeUnretainedValue() }
    }
}
