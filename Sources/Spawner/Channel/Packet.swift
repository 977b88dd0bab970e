// SPDX-License-Identifier: Apache-2.0
internal import CChannel
internal import Kernel

/// One received message: its bytes, its descriptors, and who wrote it.
struct Packet: Sendable {
    let bytes: [UInt8]
    let descriptors: [Descriptor]
    /// The writer's process id as this process sees it; 0 when the kernel did not say.
    let senderPid: Int32

    /// Checks the header; nil when it does not describe these bytes.
    init?(bytes: [UInt8], descriptors: [Descriptor], senderPid: Int32) {
        self.bytes = bytes
        self.descriptors = descriptors
        self.senderPid = senderPid
        guard bytes.count >= MemoryLayout<sbx_header>.size, header.protocol == SBX_PROTOCOL,
            header.length == bytes.count
        else { return nil }
    }

    private var header: sbx_header {
        bytes.withUnsafeBytes { $0.loadUnaligned(as: sbx_header.self) }
    }

    var type: UInt16 { header.type }

    /// The message as this struct, when it is exactly as long.
    func exactly<Message: BitwiseCopyable>(_ type: Message.Type) -> Message? {
        guard bytes.count == MemoryLayout<Message>.size else { return nil }
        return bytes.withUnsafeBytes { $0.loadUnaligned(as: type) }
    }

    /// The message as this struct and what follows it.
    func leading<Message: BitwiseCopyable>(_ type: Message.Type) -> (Message, [UInt8])? {
        let size = MemoryLayout<Message>.size
        guard bytes.count >= size else { return nil }
        return (
            bytes.withUnsafeBytes { $0.loadUnaligned(as: type) }, Array(bytes.dropFirst(size))
        )
    }
}
