// SPDX-License-Identifier: Apache-2.0
/// Cuts what a program writes into lines that may be shown on a terminal.
struct LineBuffer {
    /// What is longer than this is cut, so that no program fills our memory.
    private static let longest = 1000

    private var line: [UInt8] = []

    /// Takes the next bytes, and hands on each line that they complete.
    mutating func take(_ bytes: some Sequence<UInt8>, line handOn: (String) -> Void) {
        for byte in bytes {
            if byte == 0x0a {
                finish(line: handOn)
            } else if line.count < Self.longest {
                line.append(byte)
            }
        }
    }

    /// Hands on what is left; a blank line is nothing.
    mutating func finish(line handOn: (String) -> Void) {
        // An escape sequence must not reach the terminal.
        let scalars = String(decoding: line, as: UTF8.self).unicodeScalars.filter { scalar in
            scalar.value >= 0x20 && !(0x7f...0x9f).contains(scalar.value)
        }
        line.removeAll(keepingCapacity: true)
        if scalars.contains(where: { $0 != " " }) { handOn(String(scalars)) }
    }
}
