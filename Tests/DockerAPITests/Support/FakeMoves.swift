// SPDX-License-Identifier: Apache-2.0
import Glibc
import Kernel

/// How a fake engine's moves are made.
enum FakeMoves {
    private static let dripMilliseconds: Int32 = 5
    private static let lingerMilliseconds: Int32 = 10_000

    /// Answers whether the connection goes on.
    static func make(_ move: FakeEngine.Move, on socket: Descriptor) -> Bool {
        switch move {
        case .send(let bytes): return send(bytes, on: socket)
        case .drip(let bytes):
            for byte in bytes {
                if !send([byte], on: socket) || hasHungUp(socket, within: dripMilliseconds) {
                    return false
                }
            }
            return true
        case .sendForever(let bytes):
            while send(bytes, on: socket) {}
            return false
        case .hang:
            while !hasHungUp(socket, within: -1) {}
            return false
        case .finish:
            shutdown(socket.number, Int32(SHUT_WR))
            _ = hasHungUp(socket, within: lingerMilliseconds)
            return false
        case .close:
            return false
        }
    }

    private static func send(_ bytes: [UInt8], on socket: Descriptor) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            let sent = rest.withUnsafeBytes {
                Glibc.send(socket.number, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard sent > 0 else { return false }
            rest = rest.dropFirst(sent)
        }
        return true
    }

    /// Whether the other side has closed: the kernel says so unasked (POLLHUP).
    private static func hasHungUp(_ socket: Descriptor, within milliseconds: Int32) -> Bool {
        var question = pollfd(fd: socket.number, events: 0, revents: 0)
        return poll(&question, 1, milliseconds) != 0
    }
}
