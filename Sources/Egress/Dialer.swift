// SPDX-License-Identifier: Apache-2.0
internal import Glibc
package import NIOCore
internal import NIOPosix
internal import Policy

/// Decides on a host and port, finds its addresses, decides on those, and connects to one of them:
/// the one place that lets anything out.
package struct Dialer: Sendable {
    /// So many addresses are tried, one after the other.
    private static let tries = 3

    let policy: EgressPolicy
    let ledger: EgressLedger
    let patience: Patience
    private let resolver: any NameResolver

    package init(
        policy: EgressPolicy,
        ledger: EgressLedger,
        resolver: any NameResolver,
        patience: Patience = Patience()
    ) {
        self.policy = policy
        self.ledger = ledger
        self.resolver = resolver
        self.patience = patience
    }

    /// A connection to `place` whose pipeline `prepare` makes, for `client`, on whose event loop it
    /// is and with which it ends; fails with `EgressRefusal`. What came of it is in the ledger. With
    /// `tls`, the server has proved who it is.
    package func connect(
        to place: Authority,
        over tls: ServerTLS? = nil,
        for client: any Channel,
        prepare: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
    ) -> EventLoopFuture<any Channel> {
        let rule: EgressRule
        do throws(EgressRefusal) {
            if ledger.isExhausted { throw .exhausted(limitBytes: ledger.limitBytes) }
            rule = try policy.rule(for: place.host, port: place.port)
        } catch {
            return refuse(place, error, client)
        }
        let (policy, ledger) = (policy, ledger)
        // The addresses that were decided on are the ones that are connected to: a name that is
        // resolved again may have another answer.
        return addresses(of: place.host, on: client.eventLoop)
            .flatMapThrowing { addresses in
                // Nothing is begun for a run that has ended meanwhile.
                guard client.isActive else { throw ChannelError.ioOnClosedChannel }
                try policy.check(addresses, of: place.host)
                ledger.allowed(place, by: rule)
                return addresses
            }
            .flatMap { addresses in
                connect(addresses[...].prefix(Self.tries), place, tls, client, prepare)
            }
            .flatMapError { error in
                refuse(place, refusal(of: place.host, for: error), client)
            }
    }

    private func refuse(
        _ place: Authority,
        _ refusal: EgressRefusal,
        _ client: any Channel
    ) -> EventLoopFuture<any Channel> {
        ledger.refused(place, refusal)
        return client.eventLoop.makeFailedFuture(refusal)
    }

    private func refusal(of host: HostName, for error: any Error) -> EgressRefusal {
        // Whatever broke then, broke by that.
        if ledger.isExhausted { return .exhausted(limitBytes: ledger.limitBytes) }
        return switch error {
        case let refusal as EgressRefusal: refusal
        case let error as IOError: .unconnected(host, String(cString: strerror(error.errnoCode)))
        case ChannelError.connectTimeout:
            .late(host, .connecting, seconds: patience.connection.seconds)
        case ChannelError.ioOnClosedChannel: .unconnected(host, "nobody waits for it any more")
        default: .unconnected(host, "\(error)")
        }
    }

    private func addresses(
        of host: HostName,
        on eventLoop: any EventLoop
    ) -> EventLoopFuture<[IPAddress]> {
        switch host {
        case .address(let address): eventLoop.makeSucceededFuture([address])
        case .name(let name):
            if let given = policy.given(name) {
                eventLoop.makeSucceededFuture(given)
            } else {
                resolved(name, on: eventLoop)
            }
        }
    }

    /// What the resolver says in time: one that hangs must not hold up what asked it.
    private func resolved(
        _ name: String,
        on eventLoop: any EventLoop
    ) -> EventLoopFuture<[IPAddress]> {
        let answer = eventLoop.makePromise(of: [IPAddress].self)
        let limit = patience.resolving
        let timer = eventLoop.scheduleTask(in: limit) {
            answer.fail(EgressRefusal.late(.name(name), .resolving, seconds: limit.seconds))
        }
        resolver.addresses(of: name, by: .now() + limit, on: eventLoop).whenComplete { result in
            timer.cancel()
            answer.completeWith(result)
        }
        return answer.futureResult
    }

    private func connect(
        _ addresses: ArraySlice<IPAddress>,
        _ place: Authority,
        _ tls: ServerTLS?,
        _ client: any Channel,
        _ prepare: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
    ) -> EventLoopFuture<any Channel> {
        let eventLoop = client.eventLoop
        guard let address = addresses.first else {
            return eventLoop.makeFailedFuture(EgressRefusal.unresolved(place.host, "no address"))
        }
        let socket: SocketAddress
        do {
            socket = try SocketAddress(
                packedIPAddress: ByteBuffer(bytes: address.bytes),
                port: Int(place.port)
            )
        } catch {
            return eventLoop.makeFailedFuture(error)
        }
        let attempt = ClientBootstrap(group: eventLoop)
            .connectTimeout(patience.connection)
            .channelOption(.autoRead, value: false)
            // What has come over TLS would be overtaken by the end of the connection's other half.
            .channelOption(.allowRemoteHalfClosure, value: tls == nil)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                client.closeFuture.whenComplete { _ in channel.close(promise: nil) }
                guard let tls else { return prepare(channel) }
                return channel.eventLoop.makeCompletedFuture {
                    try Handshake.add(to: channel, tls, place.host, patience: patience.handshake)
                }.flatMap { prepare(channel) }
            }
            .connect(to: socket)
            .flatMap { channel in
                tls == nil ? eventLoop.makeSucceededFuture(channel) : Handshake.done(on: channel)
            }
        let rest = addresses.dropFirst()
        guard !rest.isEmpty else { return attempt }
        return attempt.flatMapError { _ in connect(rest, place, tls, client, prepare) }
    }
}
