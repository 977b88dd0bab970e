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

    /// A connection to `place` whose pipeline `prepare` makes, on `eventLoop`; fails with
    /// `EgressRefusal`. What came of it is in the ledger. With `tls`, the server has proved who it is.
    package func connect(
        to place: Authority,
        over tls: ServerTLS? = nil,
        on eventLoop: any EventLoop,
        prepare: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
    ) -> EventLoopFuture<any Channel> {
        let rule: EgressRule
        do throws(EgressRefusal) {
            if ledger.isExhausted { throw .exhausted(limitBytes: ledger.limitBytes) }
            rule = try policy.rule(for: place.host, port: place.port)
        } catch {
            return refuse(place, error, on: eventLoop)
        }
        let (policy, ledger) = (policy, ledger)
        // The addresses that were decided on are the ones that are connected to: a name that is
        // resolved again may have another answer.
        return addresses(of: place.host, on: eventLoop)
            .flatMapThrowing { addresses in
                try policy.check(addresses, of: place.host)
                ledger.allowed(place, by: rule)
                return addresses
            }
            .flatMap { addresses in
                connect(addresses[...].prefix(Self.tries), place, tls, eventLoop, prepare)
            }
            .flatMapError { error in
                let refusal =
                    error as? EgressRefusal ?? .unconnected(place.host, words(for: error))
                return refuse(place, refusal, on: eventLoop)
            }
    }

    private func refuse(
        _ place: Authority,
        _ refusal: EgressRefusal,
        on eventLoop: any EventLoop
    ) -> EventLoopFuture<any Channel> {
        ledger.refused(place, refusal)
        return eventLoop.makeFailedFuture(refusal)
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
                resolver.addresses(of: name, on: eventLoop)
            }
        }
    }

    private func connect(
        _ addresses: ArraySlice<IPAddress>,
        _ place: Authority,
        _ tls: ServerTLS?,
        _ eventLoop: any EventLoop,
        _ prepare: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
    ) -> EventLoopFuture<any Channel> {
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
        return attempt.flatMapError { _ in connect(rest, place, tls, eventLoop, prepare) }
    }

    private func words(for error: any Error) -> String {
        switch error {
        case let error as IOError: String(cString: strerror(error.errnoCode))
        case ChannelError.connectTimeout: "no answer within \(patience.connection.seconds) s"
        default: "\(error)"
        }
    }
}
