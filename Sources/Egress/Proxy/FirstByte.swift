// SPDX-License-Identifier: Apache-2.0
internal import NIOCore
internal import NIOHTTP1

/// Tells by a connection's first byte which protocol it speaks, and ends one that says nothing.
///
/// A client has so long to say where it wants to go, however slowly it speaks.
final class FirstByte: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer

    /// The most that a decoder keeps of what it has not understood, or is not to: as much as one
    /// turn of reads brings. A client that sends ahead of an answer has no more than that in the
    /// daemon, for nothing is read before the answer is there.
    private static let undecodedBytesMax = 1 << 20

    private let dialer: Dialer
    private let headers: [HeaderRule]
    private var timer: Scheduled<Void>?
    private var isKnown = false

    init(dialer: Dialer, headers: [HeaderRule]) {
        self.dialer = dialer
        self.headers = headers
    }

    func channelActive(context: ChannelHandlerContext) {
        let channel = context.channel
        timer = context.eventLoop.scheduleTask(in: dialer.patience.head) {
            channel.close(promise: nil)
        }
        context.read()
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        timer?.cancel()
        context.fireChannelInactive()
    }

    /// A client that says nothing any more, and has not said what it wants, is gone.
    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if !isKnown, case ChannelEvent.inputClosed? = event as? ChannelEvent {
            context.close(promise: nil)
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isKnown else {
            context.fireChannelRead(data)
            return
        }
        let bytes = unwrapInboundIn(data)
        guard let first = bytes.getInteger(at: bytes.readerIndex, as: UInt8.self) else { return }
        isKnown = true
        do {
            try speak(first, context)
        } catch {
            context.close(promise: nil)
            return
        }
        context.fireChannelRead(data)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        context.fireChannelReadComplete()
        if !isKnown { context.read() }
    }

    /// Behind this handler comes what speaks the protocol; it asks for more by itself.
    private func speak(_ first: UInt8, _ context: ChannelHandlerContext) throws {
        let pipeline = context.pipeline.syncOperations
        // It is over when the client has said where it wants to go.
        let isDone: () -> Void = { [self] in timer?.cancel() }
        switch first {
        case 5:
            try pipeline.addHandler(SOCKS5(dialer: dialer, isDone: isDone))
        case UInt8(ascii: "A")...UInt8(ascii: "Z"):
            let encoder = HTTPResponseEncoder()
            let decoder = ByteToMessageHandler(
                HTTPRequestDecoder(leftOverBytesStrategy: .forwardBytes),
                maximumBufferSize: Self.undecodedBytesMax
            )
            try pipeline.addHandlers(
                encoder,
                decoder,
                HTTPProxy(
                    dialer: dialer,
                    headers: headers,
                    codec: [encoder, decoder],
                    isDone: isDone
                )
            )
        default:
            dialer.ledger.refused(nil, .malformed("it is neither HTTP nor SOCKS5"))
            throw EgressRefusal.malformed("it is neither HTTP nor SOCKS5")
        }
    }
}
