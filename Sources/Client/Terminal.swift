// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// Writing to whoever started this command.
package enum Terminal {
    /// All of `bytes`, raw: what a sandbox wrote goes where it would have gone without one.
    package static func write(_ fd: Int32, _ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(fd, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            // Nobody reads any more; the run goes on and its status still counts.
            if count <= 0 { return }
            rest = rest.dropFirst(count)
        }
    }

    /// A line for a person, on standard error.
    package static func say(_ line: String) {
        write(2, Array((line + "\n").utf8))
    }

    /// Text from a sandbox, with everything that a terminal would act on made visible.
    package static func printable(_ text: String) -> String {
        text.unicodeScalars.map { scalar in
            scalar.value < 0x20 || (0x7f..<0xa0).contains(scalar.value)
                ? "\\u{" + String(scalar.value, radix: 16) + "}" : String(scalar)
        }.joined()
    }
}
