// SPDX-License-Identifier: Apache-2.0
internal import Egress
internal import Glibc
internal import Kernel
internal import NIOCore
internal import NIOPosix
internal import Policy
internal import Spawner
internal import SystemPackage

/// The egress proxy of one attempt, as its sandbox's way out.
struct EgressGateway: Gateway {
    private let proxy: EgressProxy

    var port: UInt16 { Network.proxyPort }

    var bytes: UInt64 { proxy.ledger.bytes }

    /// `exceptions` are addresses of no public network that the operator lets runs reach.
    init(
        _ egress: Network.Egress,
        exceptions: [EgressException],
        headers: [HeaderRule]
    ) {
        let dialer = Dialer(
            policy: EgressPolicy(rules: egress.allow, exceptions: exceptions),
            ledger: EgressLedger(limitBytes: egress.bytes),
            resolver: SystemResolver()
        )
        proxy = EgressProxy(
            dialer: dialer,
            headers: headers,
            group: MultiThreadedEventLoopGroup.singleton
        )
    }

    func open(on listener: Descriptor) async throws {
        // The proxy closes what it is given.
        let copy = try kernel { fcntl(listener.number, F_DUPFD_CLOEXEC, 0) }
        do {
            try await proxy.start(on: copy)
        } catch {
            throw SpawnError.engine(step: "proxy", reason: "\(error)")
        }
    }

    func close() async -> [Reached] {
        await proxy.stop()
        return proxy.ledger.lines.map { line in
            Reached(
                place: line.place,
                rule: line.rule,
                reason: line.reason,
                cause: line.cause,
                count: line.count,
                sentBytes: line.sentBytes,
                receivedBytes: line.receivedBytes
            )
        }
    }
}
