// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc
internal import Logging
internal import NIOCore
internal import Synchronization

/// Who is connected. A connection of another user is closed before it is heard; a connection that
/// ends cancels the run that it waits for.
final class Callers: Sendable {
    private let waiting = Mutex<[ObjectIdentifier: @Sendable () -> Void]>([:])
    private let allowedUsers: Set<uid_t>
    private let logger: Logger

    init(allowedUsers: Set<uid_t>, logger: Logger) {
        self.allowedUsers = allowedUsers
        self.logger = logger
    }

    /// Calls `onClose` if the connection ends before `body` does.
    func watching<Value>(
        _ channel: any Channel,
        onClose: @escaping @Sendable () -> Void,
        _ body: () async throws -> Value
    ) async rethrows -> Value {
        let id = ObjectIdentifier(channel)
        waiting.withLock { $0[id] = onClose }
        defer { waiting.withLock { _ = $0.removeValue(forKey: id) } }
        // It may have ended before anybody listened.
        if !channel.isActive { onClose() }
        return try await body()
    }

    /// The handler of one connection.
    func handler() -> any RemovableChannelHandler {
        CallerHandler(self)
    }

    fileprivate func ended(_ channel: any Channel) {
        waiting.withLock { $0[ObjectIdentifier(channel)] }?()
    }

    /// Whether this connection's user may talk to the daemon.
    fileprivate func admits(_ channel: any Channel) -> Bool {
        guard let provider = channel as? any SocketOptionProvider else { return false }
        let peer: EventLoopFuture<clx_peer> = provider.unsafeGetSocketOption(
            level: SocketOptionLevel(SOL_SOCKET),
            name: SocketOptionName(SO_PEERCRED)
        )
        // On the channel's own event loop the answer is there at once.
        let user = Mutex<uid_t?>(nil)
        peer.whenSuccess { peer in user.withLock { $0 = peer.uid } }
        guard let user = user.withLock({ $0 }), allowedUsers.contains(user) else {
            logger.warning("closed a connection of another user")
            return false
        }
        return true
    }
}

/// Watches one connection.
private final class CallerHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = Any

    private let callers: Callers

    init(_ callers: Callers) {
        self.callers = callers
    }

    func channelActive(context: ChannelHandlerContext) {
        guard callers.admits(context.channel) else {
            context.close(promise: nil)
            return
        }
        context.fireChannelActive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        // Nobody who waits for an answer closes his half of the connection.
        if let event = event as? ChannelEvent, event == .inputClosed {
            callers.ended(context.channel)
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        callers.ended(context.channel)
        context.fireChannelInactive()
    }
}
