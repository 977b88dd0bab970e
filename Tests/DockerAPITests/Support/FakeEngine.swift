// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import Kernel
import Synchronization
import SystemPackage
import Testing

/// A server on a Unix socket that answers as it is told, also wrongly.
///
/// For what no real engine can be made to do; what engines do is tested with engines.
final class FakeEngine: Sendable {
    /// What it does to answer a request, in order. After the last it waits for the next request.
    enum Move: Sendable {
        case send([UInt8])
        /// A byte every few milliseconds, for as long as there are bytes and somebody reads.
        case drip([UInt8])
        /// Again and again, until nobody reads.
        case sendForever([UInt8])
        /// Nothing, until the other side closes.
        case hang
        /// As servers close: what was said can be read before the connection is gone.
        case finish
        case close

        static func text(_ text: String) -> Move { .send(Array(text.utf8)) }
    }

    typealias Script = @Sendable (FakeRequest) -> [Move]

    private struct State {
        var script: Script
        var requests: [FakeRequest] = []
        var connections = 0
        var open: Set<Int32> = []
        var isStopped = false
    }

    let path: String
    /// Each request when it has come, for who waits for one.
    let arrivals: AsyncStream<FakeRequest>
    private let arrived: AsyncStream<FakeRequest>.Continuation
    private let bodies: FakeBodies
    private let directory: String
    private let listener: Descriptor
    private let state: Mutex<State>

    init(_ script: @escaping Script = FakeAnswers.working, bodies: FakeBodies = .kept) throws {
        (arrivals, arrived) = AsyncStream.makeStream()
        self.bodies = bodies
        var template = Array("/tmp/sandboxd-fake.XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Errno(rawValue: errno) }
        directory = String(
            decoding: template.dropLast().map(UInt8.init(bitPattern:)),
            as: UTF8.self
        )
        path = directory + "/engine.sock"
        listener = try Self.listen(path)
        state = Mutex(State(script: script))
        try Self.thread { [listener] in self.accept(listener) }
    }

    /// Answers otherwise from now on.
    func answer(_ script: @escaping Script) {
        state.withLock { $0.script = script }
    }

    /// What was asked so far.
    var requests: [FakeRequest] { state.withLock { $0.requests } }

    /// How many connections were made so far.
    var connections: Int { state.withLock { $0.connections } }

    /// Ends all connections, and with them their threads.
    func stop() {
        state.withLock { state in
            state.isStopped = true
            for socket in state.open { shutdown(socket, Int32(SHUT_RDWR)) }
        }
        shutdown(listener.number, Int32(SHUT_RDWR))
        arrived.finish()
        unlink(path)
        rmdir(directory)
    }

    // MARK: Threads

    private static func listen(_ path: String) throws(Errno) -> Descriptor {
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let listener = Descriptor(owning: try kernel { socket(AF_UNIX, type, 0) })
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        _ = try kernel {
            withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(listener.number, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
                }
            }
        }
        _ = try kernel { Glibc.listen(listener.number, 64) }
        return listener
    }

    private static func thread(_ body: @escaping @Sendable () -> Void) throws(Errno) {
        let box = Unmanaged.passRetained(Box(body)).toOpaque()
        _ = try kernel {
            clx_thread(
                { context in
                    guard let context else { return }
                    Unmanaged<Box>.fromOpaque(context).takeRetainedValue().body()
                },
                box
            )
        }
    }

    private final class Box: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    private func accept(_ listener: Descriptor) {
        while true {
            let number = Glibc.accept(listener.number, nil, nil)
            if number < 0 { return }
            _ = fcntl(number, F_SETFD, FD_CLOEXEC)
            let socket = Descriptor(owning: number)
            let goesOn = state.withLock { state in
                state.connections += 1
                if !state.isStopped { state.open.insert(number) }
                return !state.isStopped
            }
            // Without a thread the connection is closed, and the test sees it.
            if goesOn { try? Self.thread { self.serve(socket) } }
        }
    }

    private func serve(_ socket: Descriptor) {
        defer { _ = state.withLock { $0.open.remove(socket.number) } }
        let reader = FakeRequestReader(socket, bodies)
        while let request = reader.next() {
            let script = state.withLock { state in
                state.requests.append(request)
                return state.script
            }
            arrived.yield(request)
            for move in script(request) where !FakeMoves.make(move, on: socket) { return }
        }
    }
}

extension FakeEngine.Move: CustomTestStringConvertible {
    var testDescription: String {
        switch self {
        case .send(let bytes): "send \(bytes.count) bytes"
        case .drip(let bytes): "drip \(bytes.count) bytes"
        case .sendForever: "send without end"
        case .hang: "hang"
        case .finish: "finish"
        case .close: "close"
        }
    }
}
