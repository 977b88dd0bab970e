// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import NIOConcurrencyHelpers
package import NIOCore
internal import NIOPosix
package import Policy

/// getaddrinfo(3), which blocks, on threads of its own: one of these for each attempt.
///
/// A name server that does not answer holds a thread up for half a minute, and who it belongs to may
/// be in league with the job. So an attempt has few lookups at once, and the others of its wait; those
/// that nobody waits for any more when their turn comes are left out.
package final class SystemResolver: NameResolver {
    /// How many lookups of one attempt go on at once.
    package static let atOnceMax = 4

    /// Asks the resolver, and waits for it.
    package typealias LookUp = @Sendable (String) throws -> [IPAddress]

    private struct Lookup: Sendable {
        let name: String
        let deadline: NIODeadline
        let answer: EventLoopPromise<[IPAddress]>
    }

    private struct State {
        var going = 0
        /// In their order. An attempt has no more than its connections.
        var waiting = CircularBuffer<Lookup>()
    }

    /// Of all attempts together; made when the first name is looked up.
    private static let threads: NIOThreadPool = {
        let threads = NIOThreadPool(numberOfThreads: 32)
        threads.start()
        return threads
    }()

    private let lookUp: LookUp
    private let state = NIOLockedValueBox(State())

    package init(_ lookUp: @escaping LookUp = SystemResolver.lookUp) {
        self.lookUp = lookUp
    }

    package func addresses(
        of name: String,
        by deadline: NIODeadline,
        on eventLoop: any EventLoop
    ) -> EventLoopFuture<[IPAddress]> {
        let lookup = Lookup(name: name, deadline: deadline, answer: eventLoop.makePromise())
        let isNow = state.withLockedValue { state in
            guard state.going < Self.atOnceMax else {
                state.waiting.append(lookup)
                return false
            }
            state.going += 1
            return true
        }
        if isNow { start(lookup) }
        return lookup.answer.futureResult
    }

    private func start(_ lookup: Lookup) {
        Self.threads.submit { [self] _ in
            lookup.answer.completeWith(
                Result {
                    guard NIODeadline.now() < lookup.deadline else {
                        throw EgressRefusal.unresolved(.name(lookup.name), "others took too long")
                    }
                    return try lookUp(lookup.name)
                }
            )
            let next = state.withLockedValue { state in
                let next = state.waiting.popFirst()
                if next == nil { state.going -= 1 }
                return next
            }
            if let next { start(next) }
        }
    }

    /// By this host's resolver.
    ///
    /// A name with a dot in it is whole, as in the rule that allows it. The search list of
    /// resolv.conf(5) must not put another one in its place: with `ndots:5`, as in Kubernetes,
    /// `api.vendor.com.corp.example` would be asked for before `api.vendor.com`. So it is asked for
    /// with a dot at its end. To glibc's reader of hosts(5), as of 2.36, that is another name, and
    /// nobody writes that down there: so this looks there by itself, and first, as is the custom. A
    /// name of one label means only what the host's settings make of it.
    package static func lookUp(_ name: String) throws -> [IPAddress] {
        try lookUp(name, hosts: "/etc/hosts", ask)
    }

    static func lookUp(_ name: String, hosts: String, _ ask: LookUp) throws -> [IPAddress] {
        guard name.contains(".") else { return try ask(name) }
        let written = HostsFile.addresses(of: name, in: hosts)
        return written.isEmpty ? try ask(name + ".") : written
    }

    @Sendable
    private static func ask(_ question: String) throws -> [IPAddress] {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        // Only what this host could reach.
        hints.ai_flags = AI_ADDRCONFIG
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(question, nil, &hints, &list)
        guard code == 0 else {
            let name = question.hasSuffix(".") ? String(question.dropLast()) : question
            throw EgressRefusal.unresolved(.name(name), String(cString: gai_strerror(code)))
        }
        defer { freeaddrinfo(list) }
        var addresses: [IPAddress] = []
        var entry = list
        while let here = entry, addresses.count < 16 {
            if let address = address(here.pointee) {
                addresses.append(address)
            }
            entry = here.pointee.ai_next
        }
        return addresses
    }

    /// The bytes of a socket's address lie behind its family and port, and for IPv6 its flow label
    /// (ip(7), ipv6(7)).
    private static func address(_ entry: addrinfo) -> IPAddress? {
        let bytes = UnsafeRawBufferPointer(start: entry.ai_addr, count: Int(entry.ai_addrlen))
        switch entry.ai_family {
        case AF_INET where bytes.count >= 8: return IPAddress(bytes: Array(bytes[4..<8]))
        case AF_INET6 where bytes.count >= 24: return IPAddress(bytes: Array(bytes[8..<24]))
        default: return nil
        }
    }
}
