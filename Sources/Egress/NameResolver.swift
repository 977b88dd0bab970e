// SPDX-License-Identifier: Apache-2.0
internal import Glibc
package import NIOCore
package import NIOPosix
package import Policy

/// Finds the addresses of names, by the host's resolver.
package protocol NameResolver: Sendable {
    /// The addresses of `name`, on `eventLoop`; fails with `EgressRefusal`.
    func addresses(of name: String, on eventLoop: any EventLoop) -> EventLoopFuture<[IPAddress]>
}

/// getaddrinfo(3), which blocks, on threads of its own.
package struct SystemResolver: NameResolver {
    /// A resolver that hangs must not hold up more than what asked it.
    private static let deadline = TimeAmount.seconds(10)

    private let threads: NIOThreadPool

    package init(threads: NIOThreadPool) {
        self.threads = threads
    }

    package func addresses(
        of name: String,
        on eventLoop: any EventLoop
    ) -> EventLoopFuture<[IPAddress]> {
        let answer = eventLoop.makePromise(of: [IPAddress].self)
        let timer = eventLoop.scheduleTask(in: Self.deadline) {
            answer.fail(EgressRefusal.unresolved(.name(name), "no answer within 10 s"))
        }
        threads.runIfActive(eventLoop: eventLoop) { try Self.lookUp(name) }
            .whenComplete { result in
                timer.cancel()
                answer.completeWith(result)
            }
        return answer.futureResult
    }

    private static func lookUp(_ name: String) throws -> [IPAddress] {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        // Only what this host could reach.
        hints.ai_flags = AI_ADDRCONFIG
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(name, nil, &hints, &list)
        guard code == 0 else {
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
