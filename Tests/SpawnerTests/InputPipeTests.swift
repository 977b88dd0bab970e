// SPDX-License-Identifier: Apache-2.0
import Glibc
import Kernel
import SystemPackage
import Testing

@testable import Spawner

/// Holds the writing end of a pipe on a loop of its own.
private actor Feeder {
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    private let loop: EventLoop
    private var input: InputPipe?

    init(_ loop: EventLoop) { self.loop = loop }

    func open(_ pipe: Descriptor) throws { input = try InputPipe(pipe, on: loop) }

    func feed(_ bytes: [UInt8]) async { await input?.feed(bytes) }

    func close() { input?.close() }

    /// What the loop's thread has used of the processor, in milliseconds.
    var threadMilliseconds: Double {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) * 1000 + Double(time.tv_nsec) / 1_000_000
    }
}

@Suite("Standard input", .timeLimit(.minutes(5)))
struct InputPipeTests {
    /// The pipe holds 64 KiB, so it was waited for.
    private static let much = [UInt8](repeating: 7, count: 300_000)

    /// Reads so much. It holds up no thread that others need.
    private static func read(_ count: Int, from pipe: Descriptor) async throws -> [UInt8] {
        try pipe.setNonblocking()
        var all: [UInt8] = []
        while all.count < count {
            guard let piece = try readIfAny(pipe) else {
                try await Task.sleep(for: .milliseconds(1))
                continue
            }
            if piece.isEmpty { break }
            all += piece
        }
        return all
    }

    /// What is there to be read, nothing at the end; nil while there is nothing for now.
    private static func readIfAny(_ pipe: Descriptor) throws(Errno) -> [UInt8]? {
        let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: 16_384, alignment: 16)
        defer { piece.deallocate() }
        do throws(Errno) {
            return Array(piece[..<(try pipe.read(into: piece))])
        } catch .resourceTemporarilyUnavailable {
            return nil
        }
    }

    @Test("what is more than the pipe holds arrives, again and again")
    func again() async throws {
        let (reading, writing) = try Descriptor.pipe()
        let feeder = Feeder(try EventLoop())
        try await feeder.open(writing)
        for _ in 0..<3 {
            let fed = Task { await feeder.feed(Self.much) }
            #expect(try await Self.read(Self.much.count, from: reading) == Self.much)
            await fed.value
        }
        await feeder.close()
    }

    @Test("a reader that has read everything and is gone costs nothing")
    func goneReader() async throws {
        let feeder = Feeder(try EventLoop())
        try await Self.feedAndLeave(feeder)
        let before = await feeder.threadMilliseconds
        try await Task.sleep(for: .milliseconds(500))
        #expect(await feeder.threadMilliseconds - before < 100)
        // It is noticed by the next who writes, and holds him up no more than any other.
        await feeder.feed(Self.much)
        await feeder.close()
    }

    /// Feeds a reader who then closes his end.
    private static func feedAndLeave(_ feeder: Feeder) async throws {
        let (reading, writing) = try Descriptor.pipe()
        try await feeder.open(writing)
        let fed = Task { await feeder.feed(much) }
        _ = try await read(much.count, from: reading)
        await fed.value
    }
}
