// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Kernel
package import SystemPackage

/// One HTTP/1.1 exchange with the daemon, over its Unix socket.
///
/// Written by hand, and only as much of HTTP as this one server speaks to this one client, because
/// a client library would cost more time at start than the whole run (docs/decisions/0003).
/// Not thread-safe, but one thread may write while another reads.
package final class Connection: Sendable {
    private let socket: Descriptor

    /// Connects; throws what connect(2) says.
    package init(path: String) throws(Errno) {
        socket = try UnixSocket.connect(path)
    }

    /// Sends a request's head; its body follows in chunks.
    package func begin(_ method: String, _ path: String, headers: [String: String]) throws(Errno) {
        var head = "\(method) \(path) HTTP/1.1\r\nHost: sandboxd\r\nConnection: close\r\n"
        head += "Transfer-Encoding: chunked\r\n"
        for (name, value) in headers.sorted(by: { $0.key < $1.key }) {
            head += "\(name): \(value)\r\n"
        }
        try socket.writeAll(Array((head + "\r\n").utf8))
    }

    /// Sends the next piece of the body.
    package func send(_ bytes: [UInt8]) throws(Errno) {
        guard !bytes.isEmpty else { return }
        let size = Array((String(bytes.count, radix: 16) + "\r\n").utf8)
        try socket.writeAll(size + bytes + [13, 10])
    }

    /// Ends the body.
    package func finish() throws(Errno) {
        try socket.writeAll(Array("0\r\n\r\n".utf8))
    }

    /// Reads the answer's head.
    package func response() throws(ClientError) -> Response {
        let response = Response(socket)
        try response.readHead()
        return response
    }
}

/// The answer, as it arrives.
package final class Response {
    private static let headLimit = 64 << 10
    private static let readBytes = 64 << 10

    private let socket: Descriptor
    private var buffer: [UInt8] = []
    private var start = 0
    private var isChunked = false
    /// Bytes left of the present chunk, or of the whole body.
    private var left = 0
    private var isFirstChunk = true
    private var hasEnded = false
    package private(set) var status = 0

    init(_ socket: Descriptor) {
        self.socket = socket
    }

    fileprivate func readHead() throws(ClientError) {
        let first = try line().split(separator: " ")
        guard first.count >= 2, first[0] == "HTTP/1.1", let status = Int(first[1]) else {
            throw .notHTTP
        }
        self.status = status
        while true {
            let header = try line()
            if header.isEmpty { break }
            let parts = header.split(separator: ":", maxSplits: 1)
            let value = parts.last?.drop { $0 == " " } ?? ""
            switch parts.first?.lowercased() {
            case "content-length": left = Int(value) ?? 0
            case "transfer-encoding": isChunked = value.lowercased() == "chunked"
            default: break
            }
        }
    }

    /// The next piece of the body; empty at its end.
    package func next() throws(ClientError) -> [UInt8] {
        if left == 0, isChunked { try nextChunk() }
        guard left > 0, !hasEnded else { return [] }
        if start == buffer.count { try fill() }
        let count = min(left, buffer.count - start)
        defer {
            start += count
            left -= count
        }
        return Array(buffer[start..<start + count])
    }

    /// The whole rest of the body.
    package func all() throws(ClientError) -> [UInt8] {
        var all: [UInt8] = []
        while true {
            let piece = try next()
            if piece.isEmpty { return all }
            all += piece
        }
    }

    private func nextChunk() throws(ClientError) {
        guard !hasEnded else { return }
        if !isFirstChunk { _ = try line() }
        isFirstChunk = false
        guard let size = Int(try line().prefix { $0 != ";" }, radix: 16) else { throw .notHTTP }
        left = size
        hasEnded = size == 0
    }

    /// The next line of a head, without its end.
    private func line() throws(ClientError) -> String {
        var searched = start
        while true {
            if let end = buffer[searched...].firstIndex(of: 10) {
                defer { start = end + 1 }
                return String(decoding: buffer[start..<end].filter { $0 != 13 }, as: UTF8.self)
            }
            guard buffer.count - start < Self.headLimit else { throw .notHTTP }
            searched = buffer.count - start
            try fill()
            searched += start
        }
    }

    private func fill() throws(ClientError) {
        buffer.removeFirst(start)
        start = 0
        let count: Int
        do throws(Errno) {
            count = try withUnsafeTemporaryAllocation(byteCount: Self.readBytes, alignment: 16) {
                piece throws(Errno) in
                let count = try socket.read(into: piece)
                buffer.append(contentsOf: piece[..<count])
                return count
            }
        } catch {
            throw .lost(error)
        }
        if count == 0 { throw .ended }
    }
}
