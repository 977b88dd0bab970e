// SPDX-License-Identifier: Apache-2.0

/// SHA-256 (FIPS 180-4), as bytes come in.
///
/// It is written here because `sandboxd run` starts for every run, and swift-crypto brings
/// Foundation along, whose loading alone costs more than the whole command (docs/decisions/0003). A
/// test holds it against swift-crypto.
package struct SHA256 {
    private static let blockBytes = 64
    private static let constants: [UInt32] = [
        0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1,
        0x923f_82a4, 0xab1c_5ed5, 0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3,
        0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174, 0xe49b_69c1, 0xefbe_4786,
        0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
        0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147,
        0x06ca_6351, 0x1429_2967, 0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13,
        0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85, 0xa2bf_e8a1, 0xa81a_664b,
        0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
        0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a,
        0x5b9c_ca4f, 0x682e_6ff3, 0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208,
        0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
    ]

    private var state: [UInt32] = [
        0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c,
        0x1f83_d9ab, 0x5be0_cd19,
    ]
    /// Of a block that is not full yet.
    private var pending: [UInt8] = []
    private var byteCount: UInt64 = 0

    package init() {
        pending.reserveCapacity(2 * Self.blockBytes)
    }

    /// The digest of `bytes`: 32 bytes.
    package static func digest(of bytes: some Collection<UInt8>) -> [UInt8] {
        var hash = SHA256()
        hash.update(bytes)
        return hash.finish()
    }

    /// Bytes as lowercase hex.
    package static func hex(_ bytes: [UInt8]) -> String {
        bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }

    /// Takes more bytes in.
    package mutating func update(_ bytes: some Collection<UInt8>) {
        let isTaken: Void? = bytes.withContiguousStorageIfAvailable {
            update(UnsafeRawBufferPointer($0))
        }
        if isTaken == nil { Array(bytes).withUnsafeBytes { update($0) } }
    }

    /// Takes more bytes in: whole blocks from where they are.
    package mutating func update(_ bytes: UnsafeRawBufferPointer) {
        byteCount += UInt64(bytes.count)
        var rest = bytes[...]
        if !pending.isEmpty {
            let missing = rest.prefix(Self.blockBytes - pending.count)
            pending.append(contentsOf: missing)
            rest = rest.dropFirst(missing.count)
            guard pending.count == Self.blockBytes else { return }
            pending.withUnsafeBytes { Self.compress($0, into: &state) }
            pending.removeAll(keepingCapacity: true)
        }
        while rest.count >= Self.blockBytes {
            let block = UnsafeRawBufferPointer(rebasing: rest.prefix(Self.blockBytes))
            Self.compress(block, into: &state)
            rest = rest.dropFirst(Self.blockBytes)
        }
        pending.append(contentsOf: rest)
    }

    /// The digest of all that came in: 32 bytes.
    package consuming func finish() -> [UInt8] {
        let bits = byteCount * 8
        update(CollectionOfOne(0x80))
        while pending.count != Self.blockBytes - 8 { update(CollectionOfOne(0)) }
        update((0..<8).map { UInt8(truncatingIfNeeded: bits >> (56 - 8 * UInt64($0))) })
        return state.flatMap { word in
            (0..<4).map { UInt8(truncatingIfNeeded: word >> (24 - 8 * UInt32($0))) }
        }
    }

    /// One full block, by the standard's own names.
    private static func compress(_ block: UnsafeRawBufferPointer, into state: inout [UInt32]) {
        withUnsafeTemporaryAllocation(of: UInt32.self, capacity: blockBytes) { schedule in
            fill(schedule, block)
            var (a, b, c, d) = (state[0], state[1], state[2], state[3])
            var (e, f, g, h) = (state[4], state[5], state[6], state[7])
            constants.withUnsafeBufferPointer { constants in
                for index in 0..<blockBytes {
                    let s1 = rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25)
                    let first = h &+ s1 &+ (e & f ^ ~e & g) &+ constants[index] &+ schedule[index]
                    let s0 = rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22)
                    let second = s0 &+ (a & b ^ a & c ^ b & c)
                    (h, g, f, e, d, c, b, a) = (g, f, e, d &+ first, c, b, a, first &+ second)
                }
            }
            state[0] &+= a
            state[1] &+= b
            state[2] &+= c
            state[3] &+= d
            state[4] &+= e
            state[5] &+= f
            state[6] &+= g
            state[7] &+= h
        }
    }

    private static func fill(
        _ schedule: UnsafeMutableBufferPointer<UInt32>,
        _ block: UnsafeRawBufferPointer
    ) {
        for index in 0..<16 {
            let word = block.loadUnaligned(fromByteOffset: 4 * index, as: UInt32.self)
            schedule.initializeElement(at: index, to: UInt32(bigEndian: word))
        }
        for index in 16..<blockBytes {
            let before = schedule[index - 15]
            let last = schedule[index - 2]
            let s0 = rotated(before, 7) ^ rotated(before, 18) ^ before >> 3
            let s1 = rotated(last, 17) ^ rotated(last, 19) ^ last >> 10
            let word = schedule[index - 16] &+ s0 &+ schedule[index - 7] &+ s1
            schedule.initializeElement(at: index, to: word)
        }
    }

    private static func rotated(_ word: UInt32, _ places: UInt32) -> UInt32 {
        word &>> places | word &<< (32 &- places)
    }
}
