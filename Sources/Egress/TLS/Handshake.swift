// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import NIOCore
internal import NIOSSL
internal import NIOTLS
internal import Policy

/// Waits for the TLS handshake with a server, and judges it.
///
/// What stands behind it hears of nothing before the server has proved who it is, and never of one
/// that has not.
final class Handshake: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private enum State {
        case going
        case done
        case failed
    }

    private let host: HostName
    private let tls: NIOSSLClientHandler
    private let patience: TimeAmount
    private let promise: EventLoopPromise<Void>
    private var timer: Scheduled<Void>?
    private var state = State.going

    /// Puts TLS with `host` on a channel that is about to be connected.
    static func add(
        to channel: any Channel,
        _ tls: ServerTLS,
        _ host: HostName,
        patience: TimeAmount
    ) throws {
        let handler = try tls.handler(for: host)
        let handshake = Handshake(host, handler, patience, channel.eventLoop.makePromise())
        do {
            try channel.pipeline.syncOperations.addHandlers(handler, handshake)
        } catch {
            handshake.fail("\(error)")
            throw error
        }
    }

    /// The same channel when the handshake on it is done; fails with `EgressRefusal`, and the channel
    /// is closed.
    static func done(on channel: any Channel) -> EventLoopFuture<any Channel> {
        do {
            let handshake = try channel.pipeline.syncOperations.handler(type: Handshake.self)
            return handshake.promise.futureResult.map { channel }
        } catch {
            // It was closed already, and its handlers have gone.
            return channel.eventLoop.makeFailedFuture(ChannelError.ioOnClosedChannel)
        }
    }

    private init(
        _ host: HostName,
        _ tls: NIOSSLClientHandler,
        _ patience: TimeAmount,
        _ promise: EventLoopPromise<Void>
    ) {
        self.host = host
        self.tls = tls
        self.patience = patience
        self.promise = promise
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        // It never was connected.
        if case .going = state { fail("it ended the connection") }
    }

    func channelActive(context: ChannelHandlerContext) {
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        timer = context.eventLoop.scheduleTask(in: patience) {
            let (handshake, context) = bound.value
            let seconds = handshake.patience.seconds
            handshake.fail(.late(handshake.host, .handshake, seconds: seconds))
            context.close(promise: nil)
        }
        context.read()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case .going = state else {
            if case .done = state { context.fireUserInboundEventTriggered(event) }
            return
        }
        guard case TLSUserEvent.handshakeCompleted? = event as? TLSUserEvent else { return }
        guard tls.peerCertificate?.isFor(host) == true else {
            fail("its certificate is for another host")
            context.close(promise: nil)
            return
        }
        timer?.cancel()
        state = .done
        context.fireChannelActive()
        promise.succeed()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if case .done = state { context.fireChannelRead(data) }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if case .done = state { context.fireChannelReadComplete() }
    }

    func channelInactive(context: ChannelHandlerContext) {
        if case .going = state { fail("it ended the connection") }
        if case .done = state { context.fireChannelInactive() }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        switch state {
        case .done: context.fireErrorCaught(error)
        case .failed: break
        case .going:
            fail(words(for: error))
            context.close(promise: nil)
        }
    }

    private func fail(_ why: String) { fail(.insecure(host, why)) }

    private func fail(_ refusal: EgressRefusal) {
        guard case .going = state else { return }
        state = .failed
        timer?.cancel()
        promise.fail(refusal)
    }

    // MARK: Words

    private func words(for error: any Error) -> String {
        switch error {
        case let error as NIOSSLExtraError where error == .failedToValidateHostname:
            "its certificate is for another host"
        case is IOError, NIOSSLError.handshakeFailed(.sslError([.eofDuringHandshake])):
            "it ended the connection"
        case NIOSSLError.handshakeFailed(.sslError(let stack)):
            words(for: stack.first.map(Self.reason) ?? "it is no TLS")
        default: "\(error)"
        }
    }

    /// What went wrong with the certificate, or else the library's word, which is the only sign of it
    /// that it lets others see.
    private func words(for reason: String) -> String {
        guard reason == "CERTIFICATE_VERIFY_FAILED", let certificate = tls.peerCertificate else {
            return "the handshake failed (\(reason))"
        }
        // Only to say so: that it counts is decided elsewhere.
        let now = time(nil)
        if certificate.notValidAfter < now { return "its certificate has expired" }
        if certificate.notValidBefore > now { return "its certificate is not valid yet" }
        return "its certificate is of no authority that is trusted here, or is not for servers"
    }

    /// The last part of `error:CODE:LIBRARY:FUNCTION:REASON at FILE:LINE`.
    private static func reason(_ error: BoringSSLInternalError) -> String {
        let text = error.description
        let end = text.firstRange(of: " at ")?.lowerBound ?? text.endIndex
        return String(text[..<end].split(separator: ":").last ?? "unknown")
    }
}
