// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Why a test could not talk to its daemon.
struct SocketError: Error, CustomStringConvertible {
    let doing: String
    let code: Int32

    init(_ doing: String, _ code: Int32 = errno) {
        self.doing = doing
        self.code = code
    }

    var description: String { "\(doing): \(String(cString: strerror(code)))" }
}

/// The head of an answer.
struct HTTPHead: Sendable {
    let status: Int
    /// Names in lower case.
    let headers: [String: String]
}

/// A whole answer.
struct HTTPAnswer: Sendable {
    let head: HTTPHead
    let body: [UInt8]

    var status: Int { head.status }
    var text: String { String(decoding: body, as: UTF8.self) }
    var json: JSON { get throws { try JSON(body) } }
}

/// HTTP/1.1 over a Unix socket, as small as it gets. It waits in the kernel, never longer than its
/// limit for any one read or write.
final class HTTPConnection {
    private static let pieceBytes = 256 << 10

    private let descriptor: Int32
    private var isOpen = true
    private var buffer: [UInt8] = []
    private var start = 0
    private var isChunked = false
    private var left = 0
    private var hasEnded = true

    /// Connects to the socket at `path`.
    init(_ path: String, patience: Duration = .seconds(100)) throws {
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix(107)) }
        let done = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard done == 0 else {
            let error = SocketError("connecting to \(path)")
            Glibc.close(descriptor)
            isOpen = false
            throw error
        }
        var limit = timeval(tv_sec: Int(patience.components.seconds), tv_usec: 0)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            setsockopt(
                descriptor,
                SOL_SOCKET,
                option,
                &limit,
                socklen_t(MemoryLayout<timeval>.size)
            )
        }
    }

    deinit { close() }

    /// Ends the connection at once.
    func close() {
        if isOpen { Glibc.close(descriptor) }
        isOpen = false
    }

    /// The process that listens.
    var peer: pid_t {
        // struct ucred, which is not importable: pid, uid, gid.
        var credentials: (pid_t, uid_t, gid_t) = (0, 0, 0)
        var length = socklen_t(MemoryLayout.size(ofValue: credentials))
        getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &length)
        return credentials.0
    }

    // MARK: Asking

    /// Sends a whole request.
    func send(
        _ method: String,
        _ path: String,
        headers: [String: String] = [:],
        body: [UInt8]? = nil
    ) throws {
        var head = "\(method) \(path) HTTP/1.1\r\nHost: sandboxd\r\n"
        if let body { head += "Content-Length: \(body.count)\r\n" }
        for (name, value) in headers { head += "\(name): \(value)\r\n" }
        try write(Array((head + "\r\n").utf8) + (body ?? []))
    }

    /// Sends a request's head; chunks follow.
    func begin(_ method: String, _ path: String, headers: [String: String]) throws {
        try send(method, path, headers: headers.merging(["Transfer-Encoding": "chunked"]) { $1 })
    }

    /// Sends one chunk; an empty one ends the body.
    func chunk(_ bytes: [UInt8]) throws {
        try write(Array((String(bytes.count, radix: 16) + "\r\n").utf8) + bytes + [13, 10])
    }

    /// Sends bytes as they are.
    func write(_ bytes: [UInt8]) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let wrote = rest.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard wrote > 0 else { throw SocketError("writing to the daemon") }
            rest = rest.dropFirst(wrote)
        }
    }

    // MARK: Hearing

    /// Reads an answer's head.
    func head() throws -> HTTPHead {
        let first = try line().split(separator: " ")
        guard first.count >= 2, first[0] == "HTTP/1.1", let status = Int(first[1]) else {
            throw SocketError("reading a status line", EPROTO)
        }
        var headers: [String: String] = [:]
        while case let text = try line(), !text.isEmpty {
            let parts = text.split(separator: ":", maxSplits: 1)
            headers[parts[0].lowercased()] =
                parts.count == 2 ? parts[1].trimmingCharacters(in: .whitespaces) : ""
        }
        isChunked = headers["transfer-encoding"] == "chunked"
        left = headers["content-length"].flatMap { Int($0) } ?? 0
        hasEnded = !isChunked && left == 0
        return HTTPHead(status: status, headers: headers)
    }

    /// The next piece of the body; nil at its end.
    func next() throws -> [UInt8]? {
        if left == 0, isChunked, !hasEnded {
            left = Int(try line(), radix: 16) ?? 0
            if left == 0 {
                hasEnded = true
                _ = try line()
            }
        }
        guard !hasEnded else { return nil }
        if start == buffer.count { try fill() }
        let count = min(left, buffer.count - start)
        let piece = Array(buffer[start..<start + count])
        start += count
        left -= count
        if left == 0 {
            if isChunked { _ = try line() } else { hasEnded = true }
        }
        return piece
    }

    /// The answer to what was sent.
    func answer() throws -> HTTPAnswer {
        let head = try head()
        var body: [UInt8] = []
        while let piece = try next() { body += piece }
        return HTTPAnswer(head: head, body: body)
    }

    private func line() throws -> String {
        var end: Int?
        while true {
            end = buffer[start...].firstIndex(of: 10)
            if end != nil { break }
            try fill()
        }
        let line = buffer[start..<(end ?? start)].filter { $0 != 13 }
        start = (end ?? start) + 1
        return String(decoding: line, as: UTF8.self)
    }

    private func fill() throws {
        buffer.removeFirst(start)
        start = 0
        var piece = [UInt8](repeating: 0, count: Self.pieceBytes)
        let count = recv(descriptor, &piece, piece.count, 0)
        guard count > 0 else {
            throw SocketError("reading from the daemon", count == 0 ? ECONNRESET : errno)
        }
        buffer += piece[..<count]
    }
}
