// SPDX-License-Identifier: Apache-2.0
internal import NIOCore

/// One half of a tunnel: what its channel receives, the partner's channel sends.
///
/// A channel is read only while its partner takes what is written, so that no more than a few reads
/// are ever in memory; its end is handed on as an end of the partner's output.
final class Relay: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Counts so many bytes; false ends the tunnel.
    private let count: (Int) -> Bool
    private var partner: Relay?
    private var context: ChannelHandlerContext?
    /// A read that waits until the partner can be written to.
    private var isReadPending = false

    private init(_ count: @escaping (Int) -> Bool) {
        self.count = count
    }

    /// The two halves of a tunnel for `place`: the job's side, and the other. Both channels are on
    /// one event loop.
    private static func pair(
        for place: Authority,
        _ ledger: EgressLedger
    ) -> (job: Relay, server: Relay) {
        let job = Relay { ledger.count(place, sent: $0) }
        let server = Relay { ledger.count(place, received: $0) }
        job.partner = server
        server.partner = job
        return (job, server)
    }

    /// Connects to `place` for the client of `context`, and answers the job's half, which is to stand
    /// behind the handler that asked. nil: the client has gone meanwhile, and nothing is left.
    static func connect(
        to place: Authority,
        by dialer: Dialer,
        for context: ChannelHandlerContext,
        then: @escaping (Result<Relay?, any Error>) -> Void
    ) {
        let (job, server) = pair(for: place, dialer.ledger)
        let half = NIOLoopBound(server, eventLoop: context.eventLoop)
        let bound = NIOLoopBound((context, job, then), eventLoop: context.eventLoop)
        dialer.connect(to: place, for: context.channel) { channel in
            channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.addHandler(half.value)
            }
        }.whenComplete { result in
            let (context, job, then) = bound.value
            switch result {
            case .failure(let error): then(.failure(error))
            case .success(let server):
                if context.channel.isActive {
                    then(.success(job))
                } else {
                    server.close(promise: nil)
                    then(.success(nil))
                }
            }
        }
    }

    /// Puts this half behind a handler of its channel; one that cannot stand there ends both.
    func stand(behind handler: any ChannelHandler, _ context: ChannelHandlerContext) -> Bool {
        do {
            try context.pipeline.syncOperations.addHandler(self, position: .after(handler))
            return true
        } catch {
            partner?.context?.close(promise: nil)
            context.close(promise: nil)
            return false
        }
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if context.channel.isActive { context.read() }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        // When an address does not answer, this stands on the next one's channel already by the time
        // that the first one's lets go of it.
        guard self.context === context else { return }
        self.context = nil
        partner = nil
    }

    func channelActive(context: ChannelHandlerContext) {
        context.read()
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = unwrapInboundIn(data)
        guard count(bytes.readableBytes) else {
            partner?.context?.close(promise: nil)
            context.close(promise: nil)
            return
        }
        partner?.context?.write(Self.wrapOutbound(bytes), promise: nil)
    }

    private static func wrapOutbound(_ bytes: ByteBuffer) -> NIOAny { NIOAny(bytes) }

    func channelReadComplete(context: ChannelHandlerContext) {
        partner?.context?.flush()
        readMore(context)
    }

    /// Everything that has come is passed on before more is taken.
    private func readMore(_ context: ChannelHandlerContext) {
        guard let other = partner?.context else {
            context.close(promise: nil)
            return
        }
        if other.channel.isWritable {
            isReadPending = false
            context.read()
        } else {
            isReadPending = true
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable, let partner, partner.isReadPending,
            let other = partner.context
        {
            partner.readMore(other)
        }
        context.fireChannelWritabilityChanged()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed? = event as? ChannelEvent {
            partner?.context?.flush()
            partner?.context?.close(mode: .output, promise: nil)
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        if let other = partner?.context {
            other.flush()
            other.close(promise: nil)
        }
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // A connection that breaks is its end, whatever broke it.
        context.close(promise: nil)
    }
}
