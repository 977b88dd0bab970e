// SPDX-License-Identifier: Apache-2.0
internal import Hummingbird
internal import NIOCore

/// Reads a body by lines, or whole, and never keeps more than `limit` bytes of it.
// SAFETY: one task at a time reads: first the route's, then the one that feeds standard input.
final class LineReader: @unchecked Sendable {
    var limit: Int
    private let body: RequestBody
    private var iterator: RequestBody.AsyncIterator?
    private var buffer: [UInt8] = []

    init(_ body: RequestBody, limit: Int) {
        self.body = body
        self.limit = limit
    }

    /// The whole body.
    func all() async throws -> [UInt8] {
        var all: [UInt8] = []
        for try await piece in body {
            guard all.count + piece.readableBytes <= limit else {
                throw APIError.tooLarge(limitBytes: limit)
            }
            all.append(contentsOf: piece.readableBytesView)
        }
        return all
    }

    /// The next line without its end; nil at the body's end.
    func next() async throws -> [UInt8]? {
        var searched = 0
        while true {
            if let end = buffer[searched...].firstIndex(of: UInt8(ascii: "\n")) {
                let line = Array(buffer[..<end])
                buffer.removeFirst(end + 1)
                return line
            }
            searched = buffer.count
            guard let piece = try await nextPiece() else {
                defer { buffer = [] }
                return buffer.isEmpty ? nil : buffer
            }
            guard buffer.count + piece.readableBytes <= limit else {
                throw APIError.tooLarge(limitBytes: limit)
            }
            buffer.append(contentsOf: piece.readableBytesView)
        }
    }

    private func nextPiece() async throws -> ByteBuffer? {
        var iterator = iterator ?? body.makeAsyncIterator()
        defer { self.iterator = iterator }
        return try await iterator.next()
    }
}
