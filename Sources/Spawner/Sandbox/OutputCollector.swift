// SPDX-License-Identifier: Apache-2.0

/// Keeps the beginning and the end of a stream within a byte cap, and counts the rest.
///
/// Pure: no I/O. Memory is bounded by the cap whatever comes.
struct OutputCollector: Sendable {
    /// Bytes at the beginning that are kept.
    private let headLimit: Int
    /// Bytes at the end that are kept.
    private let tailLimit: Int
    private var head: [UInt8] = []
    /// A ring: once full, `tailStart` is its oldest byte.
    private var tail: [UInt8] = []
    private var tailStart = 0

    /// All bytes seen.
    private(set) var totalBytes: UInt64 = 0

    /// Half of `limit` for the beginning, half for the end.
    init(limit: UInt64) {
        let limit = Int(clamping: limit)
        headLimit = limit - limit / 2
        tailLimit = limit / 2
    }

    /// Takes the next piece; answers how much of its beginning belongs to the head.
    @discardableResult
    mutating func add(_ bytes: UnsafeRawBufferPointer) -> Int {
        totalBytes += UInt64(bytes.count)
        let first = min(bytes.count, headLimit - head.count)
        head.append(contentsOf: bytes[..<first])
        addToTail(UnsafeRawBufferPointer(rebasing: bytes[first...]))
        return first
    }

    private mutating func addToTail(_ bytes: UnsafeRawBufferPointer) {
        guard tailLimit > 0 else { return }
        // Only the last `tailLimit` bytes of a large piece can survive it.
        var rest = bytes.suffix(tailLimit)[...]
        let room = min(rest.count, tailLimit - tail.count)
        tail.append(contentsOf: rest.prefix(room))
        rest = rest.dropFirst(room)
        while !rest.isEmpty {
            let piece = rest.prefix(tailLimit - tailStart)
            tail.replaceSubrange(tailStart..<tailStart + piece.count, with: piece)
            tailStart = (tailStart + piece.count) % tailLimit
            rest = rest.dropFirst(piece.count)
        }
    }

    /// What is kept. The beginning and the end are joined when nothing lies between.
    var kept: KeptOutput {
        var output = KeptOutput()
        let end = Array(tail[tailStart...] + tail[..<tailStart])
        output.droppedBytes = totalBytes - UInt64(head.count) - UInt64(end.count)
        if output.droppedBytes == 0 {
            output.head = head + end
        } else {
            output.head = head
            output.tail = end
        }
        return output
    }
}
