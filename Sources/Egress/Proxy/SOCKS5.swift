// SPDX-License-Identifier: Apache-2.0
internal import NIOCore
internal import Policy

/// SOCKS 5 (RFC 1928) without authentication, and with CONNECT alone: nothing listens for the job
/// outside, and no datagrams leave.
final class SOCKS5: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum State {
        case greeting
        case request
        case connecting
        case tunnel
        case over
    }

    /// The codes of a reply.
    private enum Reply: UInt8 {
        case done = 0
        case failure = 1
        case denied = 2
        case unreachable = 4
        case command = 7
        case addressType = 8
    }

    private let dialer: Dialer
    private let isDone: () -> Void
    private var state = State.greeting
    /// What has come and is not understood yet; what comes behind the request is for the tunnel.
    private var received = ByteBuffer()

    init(dialer: Dialer, isDone: @escaping () -> Void) {
        self.dialer = dialer
        self.isDone = isDone
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        if case .tunnel = state {
            context.fireChannelRead(data)
            return
        }
        received.writeBuffer(&bytes)
        // A client that goes on before it has an answer has no more than this in flight.
        guard received.readableBytes <= 65_536 else {
            end(context, .failure)
            return
        }
        understand(context)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        switch state {
        case .greeting, .request: context.read()
        case .connecting, .over: break
        case .tunnel: context.fireChannelReadComplete()
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch state {
        case .greeting, .request:
            if case ChannelEvent.inputClosed? = event as? ChannelEvent {
                context.close(promise: nil)
            }
        case .connecting, .tunnel, .over: break
        }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    private func understand(_ context: ChannelHandlerContext) {
        if case .greeting = state {
            guard let version: UInt8 = received.getInteger(at: received.readerIndex),
                let count: UInt8 = received.getInteger(at: received.readerIndex + 1),
                received.readableBytes >= 2 + Int(count)
            else { return }
            received.moveReaderIndex(forwardBy: 2)
            let methods = received.readBytes(length: Int(count)) ?? []
            guard version == 5, methods.contains(0) else {
                send(context, [5, 0xff])
                state = .over
                context.close(promise: nil)
                return
            }
            send(context, [5, 0])
            state = .request
        }
        if case .request = state { readRequest(context) }
    }

    private func readRequest(_ context: ChannelHandlerContext) {
        let start = received.readerIndex
        guard received.readableBytes >= 5,
            let head = received.getBytes(at: start, length: 5)
        else { return }
        guard head[0] == 5, head[2] == 0 else { return end(context, .failure) }
        guard head[1] == 1 else { return end(context, .command) }
        let length: Int
        switch head[3] {
        case 1: length = 4
        case 3: length = 1 + Int(head[4])
        case 4: length = 16
        default: return end(context, .addressType)
        }
        guard let address = received.getBytes(at: start + 4, length: length),
            let port: UInt16 = received.getInteger(at: start + 4 + length)
        else { return }
        received.moveReaderIndex(to: start + 4 + length + 2)
        connect(context, type: head[3], address, port)
    }

    private func connect(
        _ context: ChannelHandlerContext,
        type: UInt8,
        _ address: [UInt8],
        _ port: UInt16
    ) {
        let host: HostName
        do throws(HostName.Refusal) {
            host =
                if let literal = type == 3 ? nil : IPAddress(bytes: address) {
                    .address(literal)
                } else {
                    try HostName(address.dropFirst())
                }
        } catch {
            dialer.ledger.refused(nil, .malformed(error.description))
            return end(context, .denied)
        }
        isDone()
        state = .connecting
        let place = Authority(host: host, port: port)
        Relay.connect(to: place, by: dialer, for: context) { self.connected(context, $0) }
    }

    private func connected(_ context: ChannelHandlerContext, _ result: Result<Relay?, any Error>) {
        switch result {
        case .failure(let error):
            let isDenied = (error as? EgressRefusal)?.isDenial ?? false
            end(context, isDenied ? .denied : .unreachable)
        case .success(nil): state = .over
        case .success(let relay?):
            reply(context, .done)
            state = .tunnel
            guard relay.stand(behind: self, context) else { return }
            if received.readableBytes > 0 {
                context.fireChannelRead(wrap(received))
                context.fireChannelReadComplete()
            }
            received = ByteBuffer()
        }
    }

    private func wrap(_ bytes: ByteBuffer) -> NIOAny { NIOAny(bytes) }

    private func end(_ context: ChannelHandlerContext, _ code: Reply) {
        state = .over
        reply(context, code)
        context.close(promise: nil)
    }

    /// What the address is that connects is nobody's business.
    private func reply(_ context: ChannelHandlerContext, _ code: Reply) {
        send(context, [5, code.rawValue, 0, 1, 0, 0, 0, 0, 0, 0])
    }

    private func send(_ context: ChannelHandlerContext, _ bytes: [UInt8]) {
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: bytes)), promise: nil)
    }
}
