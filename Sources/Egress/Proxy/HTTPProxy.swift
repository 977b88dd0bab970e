// SPDX-License-Identifier: Apache-2.0
internal import NIOCore
internal import NIOHTTP1

/// One connection of a job that speaks HTTP: a tunnel by CONNECT, or one plain request.
final class HTTPProxy: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private enum State {
        case head
        /// What came with the head, and goes on when there is a connection.
        case connecting([HTTPServerRequestPart])
        case plain(PlainServer)
        /// Bytes go through as they are; the relay is behind this handler.
        case tunnel
        case over
    }

    private let dialer: Dialer
    private let headers: [HeaderRule]
    private let codec: [any RemovableChannelHandler]
    private let isDone: () -> Void
    private var state = State.head
    /// Whether the end of the request has come.
    private var isWhole = false
    /// A read that waits until the server can be written to.
    private var isReadPending = false

    init(
        dialer: Dialer,
        headers: [HeaderRule],
        codec: [any RemovableChannelHandler],
        isDone: @escaping () -> Void
    ) {
        self.dialer = dialer
        self.headers = headers
        self.codec = codec
        self.isDone = isDone
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch state {
        case .tunnel: context.fireChannelRead(data)
        case .over: break
        case .head:
            guard case .head(let head) = unwrapInboundIn(data) else { return }
            isDone()
            if head.method == .CONNECT {
                connect(context, head)
            } else {
                forward(context, head)
            }
        case .connecting(var parts):
            guard let part = ofRequest(unwrapInboundIn(data)) else { return }
            parts.append(part)
            state = .connecting(parts)
        case .plain(let server):
            if let part = ofRequest(unwrapInboundIn(data)) { server.send(part) }
        }
    }

    /// The part, when it is one of the one request that a connection is for. What is behind it
    /// nobody has looked at: it goes nowhere, and no more of it is read.
    private func ofRequest(_ part: HTTPServerRequestPart) -> HTTPServerRequestPart? {
        guard !isWhole else { return nil }
        if case .end = part { isWhole = true }
        return part
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        switch state {
        case .head: context.read()
        case .connecting, .over: break
        case .tunnel: context.fireChannelReadComplete()
        case .plain(let server):
            server.flush()
            readMore(context, for: server)
        }
    }

    /// Reads on while the request goes on, as soon as the server takes more.
    ///
    /// Behind the request there may be another protocol (`Upgrade`, or a second request's CONNECT):
    /// the decoder leaves that alone, and would keep all that comes.
    private func readMore(_ context: ChannelHandlerContext, for server: PlainServer) {
        isReadPending = !isWhole && !server.isWritable
        if !isWhole, server.isWritable { context.read() }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable, case .plain(let server) = state { server.readMore() }
        context.fireChannelWritabilityChanged()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .head = state, case ChannelEvent.inputClosed? = event as? ChannelEvent {
            context.close(promise: nil)
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        if case .plain(let server) = state { server.close() }
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard case .head = state, error is HTTPParserError else {
            context.close(promise: nil)
            return
        }
        dialer.ledger.refused(nil, .malformed("it is no HTTP"))
        refuse(context, EgressRefusal.malformed("it is no HTTP (\(error))"))
    }

    // MARK: CONNECT

    private func connect(_ context: ChannelHandlerContext, _ head: HTTPRequestHead) {
        let place: Authority
        do throws(EgressRefusal) {
            place = try Authority(head.uri.utf8, defaultPort: nil)
        } catch {
            dialer.ledger.refused(nil, error)
            return refuse(context, error)
        }
        state = .connecting([])
        Relay.connect(to: place, by: dialer, for: context) { self.connected(context, $0) }
    }

    private func connected(_ context: ChannelHandlerContext, _ result: Result<Relay?, any Error>) {
        switch result {
        case .failure(let error): refuse(context, error)
        case .success(nil): state = .over
        case .success(let relay?):
            state = .tunnel
            guard relay.stand(behind: self, context) else { return }
            // The decoder hands on what came behind the request when it goes.
            let pipeline = context.pipeline.syncOperations
            let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
            for handler in codec.dropLast() { pipeline.removeHandler(handler, promise: nil) }
            context.writeAndFlush(
                NIOAny(ByteBuffer(string: "HTTP/1.1 200 Connection established\r\n\r\n")),
                promise: nil
            )
            guard let decoder = codec.last else { return }
            pipeline.removeHandler(decoder).whenComplete { _ in
                bound.value.fireChannelReadComplete()
            }
        }
    }

    // MARK: A plain request

    private func forward(_ context: ChannelHandlerContext, _ head: HTTPRequestHead) {
        let forwarded: ForwardedHead
        do throws(EgressRefusal) {
            forwarded = try ForwardedHead(head, headers: headers)
        } catch {
            dialer.ledger.refused(nil, error)
            return refuse(context, error)
        }
        state = .connecting([.head(forwarded.head)])
        let ledger = dialer.ledger
        let server = PlainServer(client: context, request: head)
        server.onSilence = { [unowned self] why in
            if ledger.isExhausted {
                return refuse(context, EgressRefusal.exhausted(limitBytes: ledger.limitBytes))
            }
            let refusal = EgressRefusal.unconnected(forwarded.place.host, why)
            ledger.refused(forwarded.place, refusal)
            refuse(context, refusal)
        }
        let bound = NIOLoopBound((self, context, server), eventLoop: context.eventLoop)
        dialer.connect(
            to: forwarded.place,
            over: forwarded.tls,
            for: context.channel
        ) { channel in
            channel.eventLoop.makeCompletedFuture {
                let pipeline = channel.pipeline.syncOperations
                // What goes over the network counts, below TLS.
                try pipeline.addHandler(ByteMeter(forwarded.place, ledger), position: .first)
                try pipeline.addHTTPClientHandlers(leftOverBytesStrategy: .dropBytes)
                try pipeline.addHandler(bound.value.2)
            }
        }.whenComplete { result in
            let (handler, context, server) = bound.value
            handler.reached(context, result, server)
        }
    }

    private func reached(
        _ context: ChannelHandlerContext,
        _ result: Result<any Channel, any Error>,
        _ server: PlainServer
    ) {
        switch result {
        case .failure(let error): refuse(context, error)
        case .success(let channel):
            guard context.channel.isActive, case .connecting(let parts) = state else {
                channel.close(promise: nil)
                return
            }
            state = .plain(server)
            server.onWritable = { [unowned self, unowned server] in
                if isReadPending { readMore(context, for: server) }
            }
            for part in parts { server.send(part) }
            server.flush()
            server.readMore()
            readMore(context, for: server)
        }
    }

    // MARK: No

    /// Says why, and ends the connection.
    private func refuse(_ context: ChannelHandlerContext, _ error: any Error) {
        state = .over
        guard context.channel.isActive else { return }
        let status: HTTPResponseStatus =
            switch error {
            case EgressRefusal.malformed, EgressRefusal.unframed: .badRequest
            case EgressRefusal.late: .gatewayTimeout
            case let refusal as EgressRefusal: refusal.isDenial ? .forbidden : .badGateway
            default: .badGateway
            }
        let body = ByteBuffer(string: "sandboxd: \(error)\n")
        let head = HTTPResponseHead(
            version: .http1_1,
            status: status,
            headers: [
                "Content-Type": "text/plain; charset=utf-8",
                "Content-Length": "\(body.readableBytes)", "Connection": "close",
            ]
        )
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(.end(nil))).whenComplete { _ in
            bound.value.close(promise: nil)
        }
    }
}
