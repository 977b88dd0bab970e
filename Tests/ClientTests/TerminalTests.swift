// SPDX-License-Identifier: Apache-2.0
import Client
import Foundation
import Testing

@Suite("Reading and writing for whoever started a command")
struct TerminalTests {
    /// A pipe whose end `nonblocking` (0: to read from) never makes anybody wait.
    private static func pipe(nonblocking: Int) throws -> [Int32] {
        var ends: [Int32] = [-1, -1]
        try #require(Glibc.pipe(&ends) == 0)
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        _ = fcntl(ends[nonblocking], F_SETFL, O_NONBLOCK)
        return ends
    }

    /// A shell with `line`, and `input` and `output` as its own.
    private static func shell(_ line: String, input: Int32, output: Int32) throws -> Process {
        let process = Process()
        process.executableURL = URL(filePath: "/bin/sh")
        process.arguments = ["-c", line]
        process.standardInput = FileHandle(fileDescriptor: input)
        process.standardOutput = FileHandle(fileDescriptor: output)
        try process.run()
        return process
    }

    @Test("what has no room for now is written when there is", .timeLimit(.minutes(5)))
    func room() throws {
        let ends = try Self.pipe(nonblocking: 1)
        let count = try Self.pipe(nonblocking: 0)
        let piece = [UInt8](repeating: 7, count: 100_000)
        var filled = 0
        while case let wrote = write(ends[1], piece, piece.count), wrote > 0 { filled += wrote }
        #expect(errno == EAGAIN && filled > 0)
        let reader = try Self.shell("wc -c", input: ends[0], output: count[1])
        for _ in 0..<10 { try Terminal.writeAll(piece, to: ends[1]) }
        (ends + [count[1]]).forEach { close($0) }
        reader.waitUntilExit()
        let output = FileHandle(fileDescriptor: count[0], closeOnDealloc: true)
        let text = String(decoding: try #require(try output.readToEnd()), as: UTF8.self)
        #expect(text == "\(filled + 1_000_000)\n")
    }

    @Test("what is not there yet is read when it is", .timeLimit(.minutes(5)))
    func patience() throws {
        let ends = try Self.pipe(nonblocking: 0)
        let null = open("/dev/null", O_RDONLY)
        let writer = try Self.shell("sleep 0.2; echo late", input: null, output: ends[1])
        [ends[1], null].forEach { close($0) }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 100, alignment: 1)
        defer { buffer.deallocate() }
        #expect(try Terminal.read(into: buffer, from: ends[0]) == 5)
        writer.waitUntilExit()
        #expect(try Terminal.read(into: buffer, from: ends[0]) == 0)
        close(ends[0])
    }

    @Test(
        "what cannot be written or read is thrown",
        arguments: [
            ("/dev/full", O_WRONLY, "No space left"), ("/tmp", O_RDONLY, "Is a directory"),
        ] as [(String, Int32, String)]
    )
    func broken(_ path: String, _ flags: Int32, _ words: String) {
        let file = open(path, flags)
        defer { close(file) }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 100, alignment: 1)
        defer { buffer.deallocate() }
        let error = #expect(throws: (any Error).self) {
            if flags == O_WRONLY {
                try Terminal.writeAll([1], to: file)
            } else {
                _ = try Terminal.read(into: buffer, from: file)
            }
        }
        #expect("\(String(describing: error))".contains(words))
    }
}
