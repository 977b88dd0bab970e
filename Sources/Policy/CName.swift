// SPDX-License-Identifier: Apache-2.0

/// Names that C writes into a buffer of ours.
enum CName {
    /// Longer than any name of a system call or capability.
    private static let capacity = 64

    /// The name that `write` wrote, or `nil` when it answered with a negative number.
    static func read(_ write: (UnsafeMutablePointer<CChar>, Int) -> Int) -> String? {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: capacity) { buffer -> String? in
            guard let start = buffer.baseAddress else { return nil }
            let length = write(start, capacity)
            guard length >= 0 else { return nil }
            let bytes = UnsafeRawBufferPointer(start: start, count: length)
            return String(decoding: bytes, as: UTF8.self)
        }
    }
}
