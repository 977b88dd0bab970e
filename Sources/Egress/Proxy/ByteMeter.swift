// SPDX-License-Identifier: Apache-2.0
internal import NIOCore

/// Counts what a connection to a server carries, and ends it when there may be no more.
final class ByteMeter: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let place: Authority
    private let ledger: EgressLedger

    init(_ place: Authority, _ ledger: EgressLedger) {
        self.place = place
        self.ledger = ledger
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if ledger.count(place, received: unwrapInboundIn(data).readableBytes) {
            context.fireChannelRead(data)
        } else {
            context.close(promise: nil)
        }
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if ledger.count(place, sent: unwrapOutboundIn(data).readableBytes) {
            context.write(data, promise: promise)
        } else {
            promise?.fail(EgressRefusal.exhausted(limitBytes: ledger.limitBytes))
            context.close(promise: nil)
        }
    }
}
