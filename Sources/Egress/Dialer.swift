// SPDX-License-Identifier: Apache-2.0
internal import Glibc
package import NIOCore
internal import NIOPosix
internal import Policy

/// Decides on a host and port, finds its addresses, decides on those, and connects to one of them:
/// the one place that lets anything out.
package struct Dialer: Sendable {
    private static let connectLimit = TimeAmount.seconds(15)
    /// So many addresses are tried, one after the other.
    private static let tries = 3

    let policy: EgressPolicy
    let ledger: EgressLedger
    private let resolver: any NameResolver

    package init(policy: EgressPolicy, ledger: EgressLedger, resolver: any NameResolver) {
        self.policy = policy
        self.ledger = ledger
        self.resolver = resolver
    }

    /// A connection to `place` whose pipeline `prepare` makes, on `eventLoop`; fails with
    /// `EgressRefusal`. What came of it is in the ledger.
    package func connect(
        to place: Authority,
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
                Self.connect(addresses[...].prefix(Self.tries), place, eventLoop, prepare)
            }
            .flatMapError { error in
                let refusal =
                    error as? EgressRefusal ?? .unconnected(place.host, Self.words(for: error))
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

    private static func connect(
        _ addresses: ArraySlice<IPAddress>,
        _ place: Authority,
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
            .connectTimeout(connectLimit)
            .channelOption(.autoRead, value: false)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer(prepare)
            .connect(to: socket)
        let rest = addresses.dropFirst()
        guard !rest.isEmpty else { return attempt }
        return attempt.flatMapError { _ in connect(rest, place, eventLoop, prepare) }
    }

    private static func words(for error: any Error) -> String {
        switch error {
        case let error as IOError: String(cString: strerror(error.errnoCode))
        case ChannelError.connectTimeout: "no answer within 15 s"
        default: "\(error)"
        }
    }
}
