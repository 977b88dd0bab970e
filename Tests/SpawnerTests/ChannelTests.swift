// SPDX-License-Identifier: Apache-2.0
import CChannel
import Kernel
import SystemPackage
import Testing

@testable import Spawner

/// Listens on one end until the other is gone.
private actor Listener {
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    private let loop: EventLoop
    private var channel: Channel?
    private var heard: [UInt32] = []
    private var waiter: CheckedContinuation<Void, Never>?

    init(on loop: EventLoop) {
        self.loop = loop
    }

    /// The types of what came before the end.
    func listen(_ socket: Descriptor) async throws -> [UInt32] {
        await withCheckedContinuation { continuation in
            waiter = continuation
            // Failing to watch is seen by there being nothing heard.
            channel = try? Channel(socket, on: loop) { [unowned self] event in
                self.assumeIsolated { $0.handle(event) }
            }
        }
        channel?.close()
        return heard
    }

    private func handle(_ event: Channel.Event) {
        switch event {
        case .packet(let packet): heard.append(UInt32(packet.type))
        case .closed:
            waiter?.resume()
            waiter = nil
        }
    }
}

@Suite("The channel")
struct ChannelTests {
    /// An init that ends just as the daemon has sent it something leaves that unread. The kernel then
    /// reports a reset before it hands out what init had said.
    @Test(
        "what was said before the end is heard, also when something was left unread",
        arguments: [0, 1, 3]
    )
    func unread(count: Int) async throws {
        let ours = try Self.afterTheEnd(unread: count)
        let heard = try await Listener(on: try EventLoop()).listen(ours)
        #expect(heard == [SBX_ENDED.rawValue, SBX_BYE.rawValue])
    }

    /// Our end, when the other has said two things, left `unread` of ours, and is closed.
    private static func afterTheEnd(unread: Int) throws -> Descriptor {
        let (ours, theirs) = try Channel.pair()
        for type in [SBX_ENDED, SBX_BYE] {
            try Channel.sendOnce(theirs, type, sbx_signal(), trailing: [])
        }
        for _ in 0..<unread { try Channel.sendOnce(ours, SBX_KILL, sbx_signal(), trailing: []) }
        return ours
    }
}
