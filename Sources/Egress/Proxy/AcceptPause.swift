// SPDX-License-Identifier: Apache-2.0
internal import NIOCore

/// Rests for a moment when a connection cannot be accepted, as for want of descriptors.
///
/// Who waits in the listener's queue waits on. NIO's own `AcceptBackoffHandler` is asked before a
/// read that is new; after an error the old one is still pending, and the listener, which is ready
/// all the time, fails again at once: a whole core, for as long as it lasts.
final class AcceptPause: ChannelInboundHandler {
    typealias InboundIn = any Channel

    private static let length = TimeAmount.milliseconds(250)

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard error is IOError, let options = context.channel.syncOptions else {
            context.fireErrorCaught(error)
            return
        }
        do {
            try options.setOption(.autoRead, value: false)
        } catch {
            context.close(promise: nil)
            return
        }
        let channel = context.channel
        context.eventLoop.scheduleTask(in: Self.length) {
            // One that was closed meanwhile accepts nothing more.
            channel.setOption(.autoRead, value: true).whenFailure { _ in }
        }
    }
}
