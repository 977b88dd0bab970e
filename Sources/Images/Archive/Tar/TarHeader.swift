// SPDX-License-Identifier: Apache-2.0

/// One header of a tar archive: 512 bytes as POSIX (ustar), GNU and the oldest tar write them.
struct TarHeader {
    static let bytes = 512

    /// What kind of header it is: `0`, `5`, `x`…
    let type: UInt8
    let path: [UInt8]
    let linkPath: [UInt8]
    /// Of what follows, in bytes.
    let size: Int
    let mode: Int

    /// Reads a header, which is not all zeros; nil when it is none.
    init?(_ block: [UInt8]) {
        guard block.count == Self.bytes, Self.isChecked(block),
            let size = Self.number(block[124..<136]), let mode = Self.number(block[100..<108])
        else { return nil }
        self.size = size
        self.mode = mode
        type = block[156]
        linkPath = Self.text(block[157..<257])
        let name = Self.text(block[0..<100])
        // GNU has other things in the place of POSIX's prefix.
        let isPOSIX = Array(block[257..<263]) == Array("ustar\0".utf8)
        let prefix = isPOSIX ? Self.text(block[345..<500]) : []
        path = prefix.isEmpty ? name : prefix + [UInt8(ascii: "/")] + name
    }

    /// Whether the checksum is right; some have added signed bytes.
    private static func isChecked(_ block: [UInt8]) -> Bool {
        guard let wanted = number(block[148..<156]) else { return false }
        var unsigned = 0
        var signed = 0
        for (index, byte) in block.enumerated() {
            let byte = (148..<156).contains(index) ? UInt8(ascii: " ") : byte
            unsigned += Int(byte)
            signed += Int(Int8(bitPattern: byte))
        }
        return wanted == unsigned || wanted == signed
    }

    /// Text up to its end or a NUL.
    private static func text(_ field: ArraySlice<UInt8>) -> [UInt8] {
        Array(field.prefix { $0 != 0 })
    }

    /// A number in octal, or, as GNU writes large ones, in bytes; nil when it is none.
    private static func number(_ field: ArraySlice<UInt8>) -> Int? {
        if let first = field.first, first & 0x80 != 0 {
            var number = Int(first & 0x7f)
            for byte in field.dropFirst() {
                guard number <= Int.max >> 8 else { return nil }
                number = number << 8 | Int(byte)
            }
            return number
        }
        let isPadding = { (byte: UInt8) in byte == 0 || byte == UInt8(ascii: " ") }
        let digits = field.drop(while: isPadding).prefix { !isPadding($0) }
        if digits.isEmpty { return 0 }
        return Int(String(decoding: digits, as: UTF8.self), radix: 8).flatMap { $0 < 0 ? nil : $0 }
    }
}
