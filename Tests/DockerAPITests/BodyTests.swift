// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import Kernel
import SystemPackage
import Testing

@testable import DockerAPI

/// What is sent, and what comes line by line.
@Suite("Bodies of requests and answers", .timeLimit(.minutes(1))) struct BodyTests {
    private static let name = try? ImageReference("some:one")

    // MARK: Archives

    @Test("a file is sent in chunks, from where it stands to its end")
    func file() async throws {
        let name = try #require(Self.name)
        let bytes = (0..<5_000_000).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 13) }
        let file = try Descriptor.memory(bytes, name: "archive")
        _ = try kernel { lseek(file.number, 1_000_000, SEEK_SET) }
        try await Clients.withFake { client, engine in
            let id = try await client.importImage(file, as: name, changes: ["LABEL a=\"b c\""])
            #expect(id == FakeAnswers.imageID)
            let request = try #require(engine.requests.last)
            #expect(request.body == Array(bytes[1_000_000...]))
            #expect(
                request.path == "/v1.41/images/create?fromSrc=-&repo=some%3Aone"
                    + "&changes=LABEL%20a%3D%22b%20c%22"
            )
            #expect(request.headers["transfer-encoding"] == "chunked")
            #expect(request.headers["content-type"] == "application/x-tar")
            #expect(request.headers["expect"] == nil)
        }
    }

    /// The file has no blocks, so what grows is what the client holds.
    @Test("a gigabyte goes through a few kilobytes of memory")
    func gigabyte() async throws {
        let size = 1 << 30
        let name = try #require(Self.name)
        let file = try Descriptor.memory([], name: "archive")
        _ = try kernel { ftruncate(file.number, size) }
        let engine = try FakeEngine(bodies: .counted)
        defer { engine.stop() }
        let client = try Clients.client(of: engine)
        let before = try Self.peakKilobytes()
        _ = try await client.importImage(file, as: name)
        // Other tests run beside it, and take some.
        #expect(try Self.peakKilobytes() < before + UInt64(size >> 10) / 4)
        #expect(engine.requests.last?.bodyBytes == size)
        await client.close()
    }

    private static func peakKilobytes() throws -> UInt64 {
        for line in try KernelFile.read("/proc/self/status").split(separator: "\n")
        where line.hasPrefix("VmHWM:") {
            return try #require(UInt64(line.filter(\.isNumber)))
        }
        throw Errno.noSuchFileOrDirectory
    }

    @Test("an empty file is a body without bytes")
    func emptyFile() async throws {
        let name = try #require(Self.name)
        let file = try Descriptor.memory([], name: "archive")
        try await Clients.withFake { client, engine in
            _ = try await client.importImage(file, as: name)
            #expect(engine.requests.last?.body == [])
        }
    }

    @Test("a pipe is read as its writer writes, and other calls go on meanwhile")
    func pipe() async throws {
        let name = try #require(Self.name)
        try await Clients.withFake { client, engine in
            let (reading, end) = try Descriptor.pipe()
            var writing: Descriptor? = consume end
            let call = Task { try await client.importImage(reading, as: name) }
            let pieces = (0..<20).map { [UInt8](repeating: $0, count: 3000) }
            for piece in pieces {
                try writing?.writeAll(piece)
                // The loop has turned, and the pipe was found empty in between.
                let other = try await client.inspect("some")
                #expect(other != nil)
            }
            writing = nil
            #expect(try await call.value == FakeAnswers.imageID)
            #expect(engine.requests.last { $0.method == "POST" }?.body == pieces.flatMap { $0 })
        }
    }

    @Test("a writer that stalls is an error that says so")
    func stalledWriter() async throws {
        let name = try #require(Self.name)
        let (reading, writing) = try Descriptor.pipe()
        try writing.writeAll([1, 2, 3])
        try await Clients.withFake { client, engine in
            try await client.agree()
            let limits = CallLimits(deadline: .seconds(50), silence: .milliseconds(200))
            let error = await Clients.failure { () async throws(DockerError) in
                try await client.importImage(reading, as: name, limits: limits)
            }
            #expect(error == DockerError(.imageImport, .silent(for: .milliseconds(200))))
            await client.close()
            #expect(Clients.descriptors(connectedTo: engine) == 0)
        }
    }

    @Test("what cannot be read is an error with the kernel's reason")
    func unreadable() async throws {
        let name = try #require(Self.name)
        let directory = try Descriptor.open("/", O_RDONLY | O_DIRECTORY)
        let onlyWritable = try Descriptor.open("/dev/null", O_WRONLY)
        try await Clients.withFake { client, _ in
            for (archive, reason) in [
                (directory, Errno.isDirectory), (onlyWritable, .badFileDescriptor),
            ] {
                let error = await Clients.failure { () async throws(DockerError) in
                    try await client.importImage(archive, as: name)
                }
                #expect(error == DockerError(.imageImport, .source(reason)))
            }
            let good = try await client.inspect("some")
            #expect(good != nil)
        }
    }

    @Test(
        "an engine that refuses before it has read everything is heard",
        arguments: [true, false]
    )
    func earlyRefusal(closes: Bool) async throws {
        let name = try #require(Self.name)
        let refusal = FakeAnswers.json(#"{"message":"no space"}"#, status: "500 No")
        let script = FakeAnswers.working(but: "POST", "/images/create") { _ in
            refusal + [closes ? .finish : .hang]
        }
        let engine = try FakeEngine(script, bodies: .unread)
        defer { engine.stop() }
        let client = try Clients.client(of: engine)
        let file = try Descriptor.memory([UInt8](repeating: 7, count: 32 << 20), name: "archive")
        let error = await Clients.failure { () async throws(DockerError) in
            try await client.importImage(file, as: name, limits: .change)
        }
        #expect(error == DockerError(.imageImport, .answered(status: 500, "no space")))
        await client.close()
        #expect(Clients.descriptors(connectedTo: engine) == 0)
    }

    @Test("a list of thousands is read whole")
    func longList() async throws {
        let one = #"{"Id":"\#(FakeAnswers.containerID)","State":"running","Names":["/x"]}"#
        let list = "[" + Array(repeating: one, count: 5000).joined(separator: ",") + "]"
        let script = FakeAnswers.working(but: "GET", "/containers/json") { _ in
            FakeAnswers.json(list)
        }
        try await Clients.withFake(script) { client, _ in
            let listed = try await client.list(labels: [:])
            #expect(listed.count == 5000)
            #expect(listed.allSatisfy { $0.status == .running })
        }
    }

    // MARK: Lines

    private static func pulling(_ moves: [FakeEngine.Move]) -> FakeEngine.Script {
        FakeAnswers.working(but: "POST", "/images/create") { _ in moves }
    }

    @Test("progress is told line by line, however the bytes are cut")
    func progress() async throws {
        let name = try #require(Self.name)
        let text =
            #"{"status":"Pulling","id":"one"}"# + "\r\n"
            + #"{"status":"Downloading","id":"aa","progressDetail":{"current":5,"total":9}}"# + "\n"
            + "\r\n" + #"{"status":"Done\u001b[2J"}"#
        let bytes = text.map { FakeAnswers.chunk(String($0)) }
        try await Clients.withFake(
            Self.pulling(FakeAnswers.chunkedHead + bytes + [FakeAnswers.lastChunk])
        ) { client, engine in
            let (lines, told) = AsyncStream<ImageProgress>.makeStream()
            let image = try await client.pull(name) { told.yield($0) }
            told.finish()
            let all = await lines.reduce(into: []) { $0.append($1) }
            #expect(all.map(\.status) == ["Pulling", "Downloading", "Done\\u{1b}[2J"])
            #expect(all.map(\.layer) == ["one", "aa", nil])
            #expect(all[1].doneBytes == 5 && all[1].wholeBytes == 9)
            #expect(image.id == FakeAnswers.imageID)
            let request = engine.requests.last { $0.method == "POST" }
            #expect(request?.path == "/v1.41/images/create?fromImage=some&tag=one")
        }
    }

    @Test("an error in the middle of a good answer is the call's error")
    func errorLine() async throws {
        let name = try #require(Self.name)
        let error = FakeAnswers.chunk(
            #"{"errorDetail":{"message":"x"},"error":"no\nspace"}"# + "\n"
        )
        let script = Self.pulling(FakeAnswers.chunkedHead + [error, .hang])
        try await Clients.withFake(script) { client, _ in
            let error = await Clients.failure { () async throws(DockerError) in
                try await client.pull(name)
            }
            #expect(error == DockerError(.imagePull, .reported("no\\nspace")))
            #expect(error?.blamesEngine == false)
        }
    }

    @Test("a line without end and a line that is no JSON are errors")
    func badLines() async throws {
        let name = try #require(Self.name)
        let rows: [(FakeEngine.Move, DockerError.Reason)] = [
            (
                .sendForever(Array("400\r\n\(String(repeating: " ", count: 1024))\r\n".utf8)),
                .tooLarge(.line, limit: 64 << 10)
            ),
            (
                FakeAnswers.chunk("[1]\n"), .unreadable("a line of it is no JSON object: '[1]'")
            ),
        ]
        for (move, reason) in rows {
            let script = Self.pulling(FakeAnswers.chunkedHead + [move])
            try await Clients.withFake(script) { client, engine in
                let error = await Clients.failure { () async throws(DockerError) in
                    try await client.pull(name)
                }
                #expect(error?.reason == reason)
                await client.close()
                #expect(Clients.descriptors(connectedTo: engine) == 0)
            }
        }
    }

    @Test("what was loaded is read from the lines, also several on one")
    func loaded() async throws {
        let id = FakeAnswers.imageID
        let lines =
            #"{"stream":"Loaded image: a/b:one\n"}"# + "\n"
            + #"{"stream":"Loaded image ID: \#(id)\n"}"#
            + "\n" + #"{"stream":"Loaded image: localhost/c:two,d:three"}"# + "\n"
        let script = FakeAnswers.working(but: "POST", "/images/load") { _ in
            FakeAnswers.json(lines)
        }
        let archive = try Descriptor.memory([1], name: "archive")
        try await Clients.withFake(script) { client, _ in
            let loaded = try await client.load(archive)
            #expect(loaded.map(\.description) == ["a/b:one", id, "localhost/c:two", "d:three"])
        }
    }
}
