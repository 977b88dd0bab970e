// SPDX-License-Identifier: Apache-2.0
internal import NIOConcurrencyHelpers
package import NIOCore
internal import NIOPosix

/// The only way out of one sandbox: a proxy on a listening socket of the sandbox's own loopback.
///
/// It speaks HTTP, with CONNECT, and SOCKS5. The sandbox has no interface, no route and no resolver
/// beside it. Everything it lets through goes through `Dialer`.
package final class EgressProxy: Sendable {
    /// How many connections of one sandbox there may be at once.
    package static let connectionsMax = 256

    private let dialer: Dialer
    private let group: any EventLoopGroup
    private let headers: [HeaderRule]
    private let open = NIOLockedValueBox(Open())

    private struct Open {
        var listener: (any Channel)?
        var channels: [ObjectIdentifier: any Channel] = [:]
        var isStopped = false
    }

    /// `headers` are put into plain requests to the hosts they are for.
    package init(dialer: Dialer, headers: [HeaderRule] = [], group: any EventLoopGroup) {
        self.dialer = dialer
        self.headers = headers
        self.group = group
    }

    /// What has come of it so far.
    package var ledger: EgressLedger { dialer.ledger }

    /// Serves connections to `listener`, a listening socket that is the proxy's from now on.
    package func start(on listener: CInt) async throws {
        let channel = try await ServerBootstrap(group: group)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(AcceptPause())
                }
            }
            .childChannelOption(.autoRead, value: false)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(
                .recvAllocator,
                value: AdaptiveRecvByteBufferAllocator(
                    minimum: 4096,
                    initial: 16_384,
                    maximum: 262_144
                )
            )
            .childChannelInitializer { [self] channel in accept(channel) }
            .withBoundSocket(listener).get()
        let isStopped = open.withLockedValue { open in
            open.listener = channel
            return open.isStopped
        }
        if isStopped { try? await channel.close() }
    }

    /// Ends every connection and the listener; comes back when all are closed.
    package func stop() async {
        let (listener, channels) = open.withLockedValue { open in
            open.isStopped = true
            defer { open.listener = nil }
            return (open.listener, Array(open.channels.values))
        }
        // What is closed already is as it should be.
        try? await listener?.close()
        for channel in channels { try? await channel.close() }
    }

    private func accept(_ channel: any Channel) -> EventLoopFuture<Void> {
        let id = ObjectIdentifier(channel)
        let isTaken = open.withLockedValue { open in
            guard !open.isStopped, open.channels.count < Self.connectionsMax else { return false }
            open.channels[id] = channel
            return true
        }
        guard isTaken else {
            dialer.ledger.refused(nil, .crowded(limit: Self.connectionsMax))
            return channel.eventLoop.makeFailedFuture(
                EgressRefusal.crowded(limit: Self.connectionsMax)
            )
        }
        channel.closeFuture.whenComplete { [self] _ in
            open.withLockedValue { _ = $0.channels.removeValue(forKey: id) }
        }
        return channel.eventLoop.makeCompletedFuture {
            try channel.pipeline.syncOperations.addHandler(
                FirstByte(dialer: dialer, headers: headers)
            )
        }
    }
}
