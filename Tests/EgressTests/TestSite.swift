// SPDX-License-Identifier: Apache-2.0
import Glibc
import NIOConcurrencyHelpers
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import Policy

@testable import Egress

/// A web server on this machine's loopback, and a proxy before it.
final class TestSite: Sendable {
    static let group = MultiThreadedEventLoopGroup.singleton

    let server: any Channel
    let proxy: EgressProxy
    let ledger: EgressLedger
    let proxyPort: Int
    /// The heads of requests that came, as the server saw them.
    let seen: NIOLockedValueBox<[HTTPRequestHead]>

    var port: Int { server.localAddress?.port ?? 0 }

    /// `names` are resolved to the loopback, all others to nothing.
    static func with<Value>(
        rules: [String] = ["site.test:*"],
        names: [String: [String]] = ["site.test": ["127.0.0.1"]],
        resolver: (any NameResolver)? = nil,
        exceptions: [String] = ["127.0.0.1"],
        limitBytes: UInt64 = 1 << 40,
        tls: NIOSSLContext? = nil,
        patience: Patience = Patience(),
        headers: (Int) throws -> [HeaderRule] = { _ in [] },
        _ body: (TestSite) async throws -> Value
    ) async throws -> Value {
        let seen = NIOLockedValueBox<[HTTPRequestHead]>([])
        let server = try await ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 1024)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.addHandler(Cut())
                    if let tls { try pipeline.addHandler(NIOSSLServerHandler(context: tls)) }
                    try pipeline.configureHTTPServerPipeline()
                    try pipeline.addHandler(Pages(seen))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let ledger = EgressLedger(limitBytes: limitBytes)
        let dialer = Dialer(
            policy: EgressPolicy(
                rules: try rules.map { try EgressRule($0) },
                exceptions: exceptions.compactMap { EgressException($0) }
            ),
            ledger: ledger,
            resolver: resolver ?? Names(names),
            patience: patience
        )
        let proxy = EgressProxy(
            dialer: dialer,
            headers: try headers(server.localAddress?.port ?? 0),
            group: group
        )
        let listener = try ListeningSocket()
        try await proxy.start(on: listener.number)
        let site = TestSite(server, proxy, ledger, listener.port, seen)
        do {
            let value = try await body(site)
            await site.stop()
            return value
        } catch {
            await site.stop()
            throw error
        }
    }

    private init(
        _ server: any Channel,
        _ proxy: EgressProxy,
        _ ledger: EgressLedger,
        _ proxyPort: Int,
        _ seen: NIOLockedValueBox<[HTTPRequestHead]>
    ) {
        self.server = server
        self.proxy = proxy
        self.ledger = ledger
        self.proxyPort = proxyPort
        self.seen = seen
    }

    private func stop() async {
        await proxy.stop()
        try? await server.close()
    }

    /// Connects to the proxy.
    func open() async throws -> Conversation {
        let answer = Self.group.next().makePromise(of: [UInt8].self)
        let isBroken = NIOLockedValueBox(false)
        let channel = try await ClientBootstrap(group: Self.group)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Collector(answer, isBroken))
                }
            }
            .connect(host: "127.0.0.1", port: proxyPort).get()
        return Conversation(channel: channel, answer: answer.futureResult, isBroken: isBroken)
    }

    /// Sends bytes to the proxy, and answers everything that comes until the connection ends.
    func talk(_ bytes: [UInt8], patience: TimeAmount = .seconds(20)) async throws -> [UInt8] {
        try await open().talk(bytes, patience: patience)
    }

    func talk(_ text: String) async throws -> String {
        String(decoding: try await talk(Array(text.utf8)), as: UTF8.self)
    }
}

/// A connection to a proxy.
struct Conversation {
    let channel: any Channel
    /// Everything that comes until its end.
    let answer: EventLoopFuture<[UInt8]>
    /// Whether that was no end, but a fault.
    let isBroken: NIOLockedValueBox<Bool>

    /// Sends bytes, and answers everything that came when the connection has ended.
    func talk(_ bytes: [UInt8], patience: TimeAmount = .seconds(20)) async throws -> [UInt8] {
        // One that is closed at once says so by its answer.
        try? await channel.writeAndFlush(ByteBuffer(bytes: bytes))
        let timer = channel.eventLoop.scheduleTask(in: patience) { channel.close(promise: nil) }
        defer { timer.cancel() }
        return try await answer.get()
    }

    /// Sends one byte after the other, until all are sent or the connection ends; answers how many
    /// that were.
    func drip(_ bytes: [UInt8], every interval: TimeAmount) async throws -> Int {
        let rest = NIOLockedValueBox(bytes[...])
        let task = channel.eventLoop.scheduleRepeatedTask(initialDelay: .zero, delay: interval) {
            [channel] task in
            guard let byte = rest.withLockedValue({ $0.popFirst() }) else { return task.cancel() }
            channel.writeAndFlush(ByteBuffer(bytes: [byte]), promise: nil)
        }
        defer { task.cancel() }
        _ = try await answer.get()
        return bytes.count - rest.withLockedValue { $0.count }
    }

    /// Sends the same bytes so many times, but no longer than that, and not beyond the connection's
    /// end; answers how many bytes were taken.
    func pour(_ bytes: ByteBuffer, times: Int, for length: TimeAmount) async throws -> Int {
        let taken = NIOLockedValueBox(0)
        let isDone = channel.eventLoop.makePromise(of: Void.self)
        let timer = channel.eventLoop.scheduleTask(in: length) { isDone.succeed() }
        defer { timer.cancel() }
        channel.closeFuture.whenComplete { _ in isDone.succeed() }
        for _ in 0..<times {
            channel.write(bytes).whenSuccess {
                let all = taken.withLockedValue { count in
                    count += bytes.readableBytes
                    return count
                }
                if all == times * bytes.readableBytes { isDone.succeed() }
            }
        }
        channel.flush()
        try await isDone.futureResult.get()
        return taken.withLockedValue { $0 }
    }
}

/// A listening socket on the loopback, as a sandbox hands one out.
private struct ListeningSocket {
    let number: CInt
    let port: Int

    init() throws {
        number = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let fd = number
        let bound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(fd, $0, length) == 0 && listen(fd, 512) == 0
                    && getsockname(fd, $0, &length) == 0
            }
        }
        guard bound else { throw IOError(errnoCode: errno, reason: "no listening socket") }
        port = Int(UInt16(bigEndian: address.sin_port))
    }
}

/// Names for tests.
private struct Names: NameResolver {
    let names: [String: [String]]

    init(_ names: [String: [String]]) { self.names = names }

    func addresses(
        of name: String,
        by deadline: NIODeadline,
        on eventLoop: any EventLoop
    ) -> EventLoopFuture<[IPAddress]> {
        guard let texts = names[name] else {
            return eventLoop.makeFailedFuture(EgressRefusal.unresolved(.name(name), "unknown"))
        }
        return eventLoop.makeSucceededFuture(
            texts.compactMap { IPAddress(v4: $0) ?? IPAddress(v6: $0) }
        )
    }
}

private final class Collector: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    private var bytes: [UInt8] = []
    private let answer: EventLoopPromise<[UInt8]>
    private let isBroken: NIOLockedValueBox<Bool>

    init(_ answer: EventLoopPromise<[UInt8]>, _ isBroken: NIOLockedValueBox<Bool>) {
        self.answer = answer
        self.isBroken = isBroken
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        bytes += Array(buffer: unwrapInboundIn(data))
    }

    func channelInactive(context: ChannelHandlerContext) { answer.succeed(bytes) }

    /// Also of one that never was connected.
    func handlerRemoved(context: ChannelHandlerContext) { answer.succeed(bytes) }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        isBroken.withLockedValue { $0 = true }
        context.close(promise: nil)
    }
}

/// Ends a connection below TLS, without a word of it.
private final class Cut: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
}

/// `/bytes/N` answers N bytes, `/endless` never ends, `/cut` breaks off, `/head` has too long a head,
/// `/moved` is elsewhere, all else says hello and what was sent.
private final class Pages: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let seen: NIOLockedValueBox<[HTTPRequestHead]>
    private var uri = ""
    private var bodyBytes = 0
    private var isLast = false

    init(_ seen: NIOLockedValueBox<[HTTPRequestHead]>) { self.seen = seen }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            seen.withLockedValue { $0.append(head) }
            uri = head.uri
            isLast = !head.isKeepAlive
            bodyBytes = 0
        case .body(let bytes): bodyBytes += bytes.readableBytes
        case .end: answer(context)
        }
    }

    private func answer(_ context: ChannelHandlerContext) {
        let piece = ByteBuffer(repeating: UInt8(ascii: "x"), count: 65_536)
        if uri == "/cut" { return cut(context, piece) }
        if uri == "/head" {
            return move(context, ["X": String(repeating: "x", count: 1 << 20)])
        }
        if uri == "/moved" { return move(context, ["Location": "https://elsewhere.test/"]) }
        context.write(
            wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: .ok))),
            promise: nil
        )
        if uri.hasPrefix("/bytes/"), let count = Int(uri.dropFirst(7)) {
            for start in stride(from: 0, to: count, by: 65_536) {
                let part = piece.getSlice(at: 0, length: min(65_536, count - start)) ?? piece
                context.write(wrapOutboundOut(.body(.byteBuffer(part))), promise: nil)
            }
        } else if uri == "/endless" {
            more(context, piece)
            return
        } else {
            let text = ByteBuffer(string: "hello \(uri) \(bodyBytes)")
            context.write(wrapOutboundOut(.body(.byteBuffer(text))), promise: nil)
        }
        let bound = NIOLoopBound((context, isLast), eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(.end(nil))).whenComplete { _ in
            if bound.value.1 { bound.value.0.close(promise: nil) }
        }
    }

    private func more(_ context: ChannelHandlerContext, _ piece: ByteBuffer) {
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(.body(.byteBuffer(piece)))).whenSuccess {
            bound.value.0.more(bound.value.1, piece)
        }
    }

    private func move(_ context: ChannelHandlerContext, _ headers: HTTPHeaders) {
        var head = HTTPResponseHead(version: .http1_1, status: .found, headers: headers)
        head.headers.add(name: "Content-Length", value: "0")
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }

    /// An answer as long as its connection, which is ended without TLS's own end.
    private func cut(_ context: ChannelHandlerContext, _ piece: ByteBuffer) {
        let head = HTTPResponseHead(version: .http1_0, status: .ok)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(.body(.byteBuffer(piece)))).whenSuccess {
            let below = try? bound.value.pipeline.syncOperations.context(handlerType: Cut.self)
            below?.close(promise: nil)
        }
    }
}
