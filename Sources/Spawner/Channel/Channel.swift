// SPDX-License-Identifier: Apache-2.0
internal import CChannel
internal import CLinux
internal import Glibc
internal import Kernel
internal import SystemPackage

/// One end of a SOCK_SEQPACKET channel, bound to the event loop.
///
/// Not thread-safe: it belongs to an actor of that loop. Sending never waits; what the socket does
/// not take at once is kept and sent when it does.
final class Channel {
    /// What came in, or that nothing more will.
    enum Event {
        case packet(Packet)
        /// The other side is gone, or broke the protocol as said.
        case closed(violation: String?)
    }

    private struct Outgoing {
        var bytes: [UInt8]
        var descriptors: [Descriptor]
    }

    private let socket: Descriptor
    private let loop: EventLoop
    private let handler: (Event) -> Void
    /// nil while it is closed or paused.
    private var watch: EventLoop.Watch?
    private var isClosed = false
    private var outbox: [Outgoing] = []
    private var buffer: UnsafeMutableRawBufferPointer

    /// Packets handled before others get their turn.
    private static let packetsPerTurn = 32

    /// Watches `socket` and calls `handler` on the loop's thread.
    init(
        _ socket: Descriptor,
        on loop: EventLoop,
        _ handler: @escaping (Event) -> Void
    ) throws(Errno) {
        self.socket = socket
        self.loop = loop
        self.handler = handler
        buffer = .allocate(byteCount: Int(SBX_MESSAGE_MAX), alignment: 16)
        try resume()
    }

    deinit {
        buffer.deallocate()
    }

    /// Two connected ends: ours, which learns who writes, and the one to give away.
    static func pair() throws(Errno) -> (ours: Descriptor, theirs: Descriptor) {
        var numbers: [Int32] = [-1, -1]
        _ = try kernel { clx_channel_pair(&numbers, Int32(SBX_MESSAGE_MAX)) }
        return (Descriptor(owning: numbers[0]), Descriptor(owning: numbers[1]))
    }

    /// Stops watching. The other side sees the end once the descriptor is let go.
    func close() {
        isClosed = true
        pause()
        outbox.removeAll()
    }

    /// Hears nothing more until `resume`: what the other side says waits in the socket, and so does
    /// its end. A watch for nothing would not do: the kernel tells of an end unasked.
    func pause() {
        if let watch { loop.unwatch(watch) }
        watch = nil
    }

    /// Hears on after `pause`; on what is closed there is nothing to be heard.
    func resume() throws(Errno) {
        guard watch == nil, !isClosed else { return }
        let readiness: EventLoop.Readiness = outbox.isEmpty ? .readable : [.readable, .writable]
        watch = try loop.watch(socket, for: readiness) { [unowned self] in self.ready() }
    }

    /// Sends one message on a socket that nobody watches yet, and that has room for it.
    static func sendOnce<Message: BitwiseCopyable>(
        _ socket: Descriptor,
        _ type: sbx_message,
        _ message: Message,
        trailing: [UInt8]
    ) throws(Errno) {
        let outgoing = Outgoing(bytes: bytes(type, message, trailing), descriptors: [])
        guard try send(outgoing, on: socket) else { throw .resourceTemporarilyUnavailable }
    }

    /// Sends one message: the struct (whose header is filled in here) and what follows it.
    func send<Message: BitwiseCopyable>(
        _ type: sbx_message,
        _ message: Message,
        trailing: [UInt8] = [],
        descriptors: [Descriptor] = []
    ) throws(Errno) {
        let outgoing = Outgoing(
            bytes: Self.bytes(type, message, trailing),
            descriptors: descriptors
        )
        if outbox.isEmpty, try Self.send(outgoing, on: socket) { return }
        outbox.append(outgoing)
        if let watch { loop.change(watch, to: [.readable, .writable]) }
    }

    /// Sends a message that is nothing but its type.
    func signal(_ type: sbx_message) throws(Errno) {
        try send(type, sbx_signal())
    }

    /// A message with its header filled in.
    private static func bytes<Message: BitwiseCopyable>(
        _ type: sbx_message,
        _ message: Message,
        _ trailing: [UInt8]
    ) -> [UInt8] {
        var bytes = withUnsafeBytes(of: message) { Array($0) }
        bytes.append(contentsOf: trailing)
        let header = sbx_header(
            protocol: UInt16(SBX_PROTOCOL),
            type: UInt16(type.rawValue),
            length: UInt32(bytes.count)
        )
        withUnsafeBytes(of: header) { source in
            bytes.replaceSubrange(0..<source.count, with: source)
        }
        return bytes
    }

    /// Whether the socket took it.
    private static func send(
        _ outgoing: Outgoing,
        on socket: Descriptor
    ) throws(Errno) -> Bool {
        let numbers = outgoing.descriptors.map(\.number)
        do throws(Errno) {
            _ = try kernel {
                outgoing.bytes.withUnsafeBytes { bytes in
                    // A packet is never empty: it has a header.
                    bytes.baseAddress.map {
                        clx_send(socket.number, $0, bytes.count, nil, 0, numbers, numbers.count)
                    } ?? 0
                }
            }
            return true
        } catch .resourceTemporarilyUnavailable {
            return false
        }
    }

    private func ready() {
        flush()
        for _ in 0..<Self.packetsPerTurn {
            guard watch != nil, let event = receive() else { return }
            if case .closed = event { close() }
            handler(event)
        }
    }

    private func flush() {
        guard !outbox.isEmpty else { return }
        // A failure to send means that the other side is gone, which `receive` reports.
        while let next = outbox.first, (try? Self.send(next, on: socket)) ?? true {
            outbox.removeFirst()
        }
        if outbox.isEmpty, let watch { loop.change(watch, to: .readable) }
    }

    /// The next event; nil when there is none now.
    private func receive() -> Event? {
        guard let base = buffer.baseAddress else { return nil }
        var numbers = [Int32](repeating: -1, count: Int(SBX_DESCRIPTORS_MAX))
        var count = numbers.count
        var pid: Int32 = 0
        let length: Int
        do throws(Errno) {
            length = try kernel {
                clx_receive(socket.number, base, buffer.count, &numbers, &count, &pid)
            }
        } catch .resourceTemporarilyUnavailable {
            return nil
        } catch .connectionReset {
            // The other side closed with something of ours unread. The kernel says so once, and
            // before what it had sent, which is still there to be read.
            return receive()
        } catch .messageTooLong {
            return .closed(violation: "a message or its descriptors are too many")
        } catch {
            return .closed(violation: nil)
        }
        let descriptors = numbers.prefix(count).map(Descriptor.init(owning:))
        if length == 0 { return .closed(violation: nil) }
        let bytes = Array(UnsafeRawBufferPointer(rebasing: buffer[..<length]))
        guard let packet = Packet(bytes: bytes, descriptors: descriptors, senderPid: pid) else {
            return .closed(violation: "a header does not fit its message")
        }
        return .packet(packet)
    }
}
