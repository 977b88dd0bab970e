// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import Synchronization

/// What stands in an engine's place where no real one can be used: no registry can be reached from
/// a test, and no engine tells what it was sent.
///
/// It speaks just enough of the API for one pull, and keeps every request that it gets.
final class FakeEngine: Sendable {
    /// A request as it came.
    struct Request: Sendable {
        let method: String
        /// After the version: `/images/json?filters=…`.
        let path: String
        /// By their names in small letters.
        let headers: [String: String]

        /// All of it, to look for what must not be there.
        var text: String { "\(method) \(path) \(headers)" }
    }

    struct Answer: Sendable {
        var status = 200
        var body: [UInt8]
        var type = "application/json"

        static func json(_ text: String, status: Int = 200) -> Answer {
            Answer(status: status, body: Array(text.utf8))
        }
    }

    typealias Script = @Sendable (Request) -> Answer?

    private struct State {
        var requests: [Request] = []
        var open: Set<Int32> = []
        var isStopped = false
    }

    let address: String
    private let directory: String
    private let listener: Int32
    private let script: Script
    private let state = Mutex(State())

    /// `script` answers what the engine does not answer by itself.
    init(_ script: @escaping Script) throws {
        self.script = script
        var template = Array("/tmp/sandboxd-fake.XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw POSIXError(.EIO) }
        directory = String(
            decoding: template.dropLast().map(UInt8.init(bitPattern:)),
            as: UTF8.self
        )
        let path = directory + "/engine.sock"
        address = "unix://" + path
        listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var socketAddress = sockaddr_un()
        socketAddress.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &socketAddress.sun_path) { $0.copyBytes(from: path.utf8) }
        let bound = withUnsafePointer(to: &socketAddress) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard bound == 0, listen(listener, 16) == 0 else { throw POSIXError(.EADDRINUSE) }
        Thread { self.accept() }.start()
    }

    /// Whoever accepts holds the engine: nobody waits at a number that is somebody else's by now.
    deinit { close(listener) }

    /// What it was asked so far, but for who it is.
    var requests: [Request] {
        state.withLock { $0.requests }
            .filter { !["/_ping", "/version", "/info"].contains($0.path) }
    }

    /// Ends every connection.
    func stop() {
        state.withLock { state in
            state.isStopped = true
            for socket in state.open { shutdown(socket, Int32(SHUT_RDWR)) }
        }
        shutdown(listener, Int32(SHUT_RDWR))
        unlink(directory + "/engine.sock")
        rmdir(directory)
    }

    // MARK: Connections

    private func accept() {
        while true {
            let socket = Glibc.accept(listener, nil, nil)
            if socket < 0 { return }
            _ = fcntl(socket, F_SETFD, FD_CLOEXEC)
            let goesOn = state.withLock { state in
                if !state.isStopped { state.open.insert(socket) }
                return !state.isStopped
            }
            guard goesOn else {
                close(socket)
                return
            }
            Thread { self.serve(socket) }.start()
        }
    }

    private func serve(_ socket: Int32) {
        var input = Input(socket: socket)
        while let request = input.next() {
            state.withLock { $0.requests.append(request) }
            let answer = Self.introduction(request) ?? script(request)
            let (status, body) = (answer?.status ?? 404, answer?.body ?? Array(#"{}"#.utf8))
            let head = """
                HTTP/1.1 \(status) Said\r\nApi-Version: 1.41\r\nContent-Length: \(body.count)\r\n\
                Content-Type: \(answer?.type ?? "application/json")\r\n\r\n
                """
            guard Self.send(Array(head.utf8) + body, to: socket) else { break }
        }
        state.withLock { _ = $0.open.remove(socket) }
        close(socket)
    }

    /// Who it is: a Docker without root.
    private static func introduction(_ request: Request) -> Answer? {
        switch request.path {
        case "/_ping": Answer(body: Array("OK".utf8), type: "text/plain")
        case "/version": .json(#"{"Version":"20.10","ApiVersion":"1.41","MinAPIVersion":"1.12"}"#)
        case "/info": .json(#"{"SecurityOptions":["name=rootless"],"Runtimes":{}}"#)
        default: nil
        }
    }

    private static func send(_ bytes: [UInt8], to socket: Int32) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            let sent = rest.withUnsafeBytes {
                Glibc.send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard sent > 0 else { return false }
            rest = rest.dropFirst(sent)
        }
        return true
    }

    /// Requests off a connection; they are our own program's.
    private struct Input {
        let socket: Int32
        var buffer: [UInt8] = []

        init(socket: Int32) { self.socket = socket }

        mutating func next() -> Request? {
            guard let first = line() else { return nil }
            var headers: [String: String] = [:]
            while let header = line(), !header.isEmpty {
                let parts = header.split(separator: ":", maxSplits: 1)
                headers[parts[0].lowercased()] = String(parts.last?.dropFirst() ?? "")
            }
            let words = first.split(separator: " ")
            guard words.count == 3, skipBody(headers) else { return nil }
            let path = String(words[1])
            return Request(
                method: String(words[0]),
                path: path.hasPrefix("/v1.") ? String(path.dropFirst(6)) : path,
                headers: headers
            )
        }

        private mutating func skipBody(_ headers: [String: String]) -> Bool {
            guard headers["transfer-encoding"] == "chunked" else {
                return skip(Int(headers["content-length"] ?? "0") ?? 0)
            }
            while let size = line().flatMap({ Int($0, radix: 16) }) {
                guard skip(size), line() != nil else { return false }
                if size == 0 { return true }
            }
            return false
        }

        private mutating func skip(_ count: Int) -> Bool {
            while buffer.count < count { if !fill() { return false } }
            buffer.removeFirst(count)
            return true
        }

        private mutating func line() -> String? {
            while true {
                if let end = buffer.firstIndex(of: 10) {
                    let line = String(decoding: buffer[..<end].filter { $0 != 13 }, as: UTF8.self)
                    buffer.removeFirst(end + 1)
                    return line
                }
                if !fill() { return nil }
            }
        }

        private mutating func fill() -> Bool {
            var piece = [UInt8](repeating: 0, count: 64 << 10)
            let count = recv(socket, &piece, piece.count, 0)
            guard count > 0 else { return false }
            buffer += piece[..<count]
            return true
        }
    }
}
