// SPDX-License-Identifier: Apache-2.0
import Glibc
import Kernel
import SystemPackage

/// A request that a fake engine was sent.
struct FakeRequest: Sendable {
    let method: String
    /// With its query, as it came.
    let path: String
    /// By their names in small letters.
    let headers: [String: String]
    /// Empty when bodies are not kept.
    let body: [UInt8]
    let bodyBytes: Int
}

/// What a fake engine does with the body of a request before it answers.
enum FakeBodies {
    case kept
    case counted
    /// Nothing: it answers when it has the header.
    case unread
}

/// Reads requests off a connection, and believes them: they are ours.
final class FakeRequestReader {
    private let socket: Descriptor
    private let bodies: FakeBodies
    private var buffer: [UInt8] = []
    private var bodyBytes = 0

    init(_ socket: Descriptor, _ bodies: FakeBodies) {
        self.socket = socket
        self.bodies = bodies
    }

    /// The next request; nil at the connection's end.
    func next() -> FakeRequest? {
        guard let first = line() else { return nil }
        var headers: [String: String] = [:]
        while let header = line(), !header.isEmpty {
            let parts = header.split(separator: ":", maxSplits: 1)
            headers[parts[0].lowercased()] = String(parts.count > 1 ? parts[1].dropFirst() : "")
        }
        let words = first.split(separator: " ")
        guard words.count == 3, let body = body(headers) else { return nil }
        return FakeRequest(
            method: String(words[0]),
            path: String(words[1]),
            headers: headers,
            body: body,
            bodyBytes: bodyBytes
        )
    }

    private func body(_ headers: [String: String]) -> [UInt8]? {
        bodyBytes = 0
        if bodies == .unread { return [] }
        guard headers["transfer-encoding"] == "chunked" else {
            let body = take(Int(headers["content-length"] ?? "0") ?? 0)
            bodyBytes = body?.count ?? 0
            return body
        }
        var body: [UInt8] = []
        while let size = line().flatMap({ Int($0, radix: 16) }) {
            guard let chunk = take(size), line() != nil else { return nil }
            if size == 0 { return body }
            bodyBytes += size
            if bodies == .kept { body += chunk }
        }
        return nil
    }

    private func line() -> String? {
        while true {
            if let end = buffer.firstIndex(of: 10) {
                let line = String(decoding: buffer[..<end].filter { $0 != 13 }, as: UTF8.self)
                buffer.removeFirst(end + 1)
                return line
            }
            if !fill() { return nil }
        }
    }

    private func take(_ count: Int) -> [UInt8]? {
        while buffer.count < count { if !fill() { return nil } }
        defer { buffer.removeFirst(count) }
        return Array(buffer[..<count])
    }

    private func fill() -> Bool {
        var piece = [UInt8](repeating: 0, count: 64 << 10)
        let count = piece.withUnsafeMutableBytes {
            recv(socket.number, $0.baseAddress, $0.count, 0)
        }
        guard count > 0 else { return false }
        buffer += piece[..<count]
        return true
    }
}
