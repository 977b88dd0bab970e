// SPDX-License-Identifier: Apache-2.0

/// The classes of bytes that names are made of.
extension UInt8 {
    var isDigit: Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self) }

    var isSmallLetter: Bool { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(self) }

    var isLargeLetter: Bool { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(self) }

    var isLetterOrDigit: Bool { isDigit || isSmallLetter || isLargeLetter }

    /// As digests are written.
    var isHexadecimal: Bool { isDigit || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(self) }

    /// Neither moves a terminal's cursor nor ends a line.
    var isPrintable: Bool { self >= 0x20 && self != 0x7f }
}
