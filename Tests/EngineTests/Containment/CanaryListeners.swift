// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Sockets on the host that nobody of a sandbox may reach: TCP and UDP on all of the host's
/// addresses, abstract ones, and one in the file system that everybody may connect to.
final class CanaryListeners {
    let path: String
    let abstractName: String
    private(set) var port: UInt16 = 0
    private var sockets: [(name: String, descriptor: Int32, isStream: Bool)] = []

    init(directory: String, token: String) throws {
        path = directory + "/open.sock"
        abstractName = "sandboxd-" + token.suffix(12)
        // A number that is free for one of them may be somebody's for another.
        for attempt in 1... {
            do {
                try listenOnPort()
                break
            } catch let error as SocketError where error.code == EADDRINUSE && attempt < 100 {
                sockets.forEach { close($0.descriptor) }
                sockets = []
            }
        }
        _ = try listen("abstract stream", SOCK_STREAM, Self.unix("\0" + abstractName))
        _ = try listen("abstract datagram", SOCK_DGRAM, Self.unix("\0\(abstractName)-datagram"))
        _ = try listen("path", SOCK_STREAM, Self.unix(path))
        chmod(path, 0o666)
    }

    /// On one number of all protocols.
    private func listenOnPort() throws {
        port = try listen("TCP 0.0.0.0", SOCK_STREAM, Self.v4(0))
        _ = try listen("UDP 0.0.0.0", SOCK_DGRAM, Self.v4(port))
        if access("/proc/net/if_inet6", F_OK) == 0 {
            _ = try listen("TCP ::", SOCK_STREAM, Self.v6(port))
            _ = try listen("UDP ::", SOCK_DGRAM, Self.v6(port))
        }
    }

    deinit {
        for socket in sockets { close(socket.descriptor) }
    }

    /// Who was reached since the last call. What waits there is thrown away.
    func touched() -> [String] {
        sockets.filter { socket in
            var isTouched = false
            var watched = pollfd(fd: socket.descriptor, events: Int16(POLLIN), revents: 0)
            while poll(&watched, 1, 0) > 0 {
                isTouched = true
                if socket.isStream {
                    close(accept(socket.descriptor, nil, nil))
                } else {
                    var bytes = [UInt8](repeating: 0, count: 4096)
                    recv(socket.descriptor, &bytes, bytes.count, 0)
                }
            }
            return isTouched
        }.map(\.name)
    }

    private func listen(_ name: String, _ type: __socket_type, _ address: [UInt8]) throws -> UInt16
    {
        let family = Int32(address[0])
        let kind = Int32(type.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = socket(family, kind, 0)
        guard descriptor >= 0 else { throw SocketError("making the canary \(name)") }
        sockets.append((name, descriptor, type == SOCK_STREAM))
        var one: Int32 = 1
        if family == AF_INET6 {
            setsockopt(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, &one, 4)
        }
        var bytes = address
        let bound = bytes.withUnsafeMutableBytes { raw in
            raw.withMemoryRebound(to: sockaddr.self) { address in
                address.baseAddress.map { bind(descriptor, $0, socklen_t(raw.count)) } ?? -1
            }
        }
        guard bound == 0 else { throw SocketError("binding the canary \(name)") }
        if type == SOCK_STREAM { Glibc.listen(descriptor, 64) }
        var named = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        _ = withUnsafeMutablePointer(to: &named) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                getsockname(descriptor, $0, &length)
            }
        }
        return UInt16(bigEndian: named.sin_port)
    }

    private static func v4(_ port: UInt16) -> [UInt8] {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        return withUnsafeBytes(of: address) { Array($0) }
    }

    private static func v6(_ port: UInt16) -> [UInt8] {
        var address = sockaddr_in6()
        address.sin6_family = sa_family_t(AF_INET6)
        address.sin6_port = port.bigEndian
        return withUnsafeBytes(of: address) { Array($0) }
    }

    /// Exactly as long as its name: an abstract name has no end of its own.
    private static func unix(_ path: String) -> [UInt8] {
        withUnsafeBytes(of: sa_family_t(AF_UNIX)) { Array($0) } + Array(path.utf8)
            + (path.hasPrefix("\0") ? [] : [0])
    }
}
