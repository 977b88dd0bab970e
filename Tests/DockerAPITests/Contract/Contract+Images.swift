// SPDX-License-Identifier: Apache-2.0
import Glibc
import Kernel
import Testing

@testable import DockerAPI

extension Contract {
    static let ofImages = [
        Row("an image is made of an archive, found by name, id and label, and removed") { bench in
            let client = bench.client
            let id = try await bench.importImage()
            let named = try #require(try await client.inspect(image: bench.image))
            #expect(named.id == id)
            #expect(named.labels == bench.labels)
            #expect(named.tags == [try bench.image.description])
            #expect(try #require(named.sizeBytes) > 0)
            #expect(try await client.inspect(image: try ImageReference(id))?.id == id)
            #expect(try await client.images(labels: bench.labels).map(\.id) == [id])
            #expect(try await client.remove(image: bench.image) == .done)
            #expect(try await client.inspect(image: try ImageReference(id)) == nil)
            #expect(try await client.images(labels: bench.labels).isEmpty)
        },
        Row("an image with two names loses one, then itself") { bench in
            let client = bench.client
            let id = try await bench.importImage()
            let other = try ImageReference("localhost/\(bench.mark):two")
            try await client.tag(try ImageReference(id), as: other)
            #expect(try await client.inspect(image: other)?.id == id)
            #expect(try await client.remove(image: bench.image) == .done)
            #expect(try await client.inspect(image: bench.image) == nil)
            #expect(try await client.inspect(image: other)?.tags == [other.description])
            #expect(try await client.remove(image: other) == .done)
            #expect(try await client.inspect(image: try ImageReference(id)) == nil)
        },
        Row("a name that is given again belongs to the new image") { bench in
            let client = bench.client
            let first = try await bench.importImage()
            let archive = TarArchive.bytes([("other", [1, 2, 3])])
            let second = try await client.importImage(
                try Descriptor.memoryAtStart(archive),
                as: try bench.image,
                changes: [#"LABEL "dev.sandboxd.contract"="\#(bench.mark)""#]
            )
            #expect(first != second)
            #expect(try await client.inspect(image: bench.image)?.id == second)
            #expect(try await client.inspect(image: try ImageReference(first))?.tags == [])
        },
        Row("an image that was saved is loaded again, under its name") { bench in
            let client = bench.client
            let id = try await bench.importImage()
            let path = RequestPath("/images/", try bench.image.description, "/get").text
            let saved = try await client.ask(EngineRequest(.imageLoad, .get, path, limits: .image))
            #expect(try await client.remove(image: bench.image) == .done)
            let loaded = try await client.load(try Descriptor.memoryAtStart(saved.body))
            #expect(loaded.map(\.description) == [try bench.image.description])
            #expect(try await client.inspect(image: bench.image)?.id == id)
        },
        Row("an image of many megabytes comes through a pipe") { bench in
            let (reading, writing) = try Descriptor.pipe()
            let image = try bench.image
            let label = #"LABEL "dev.sandboxd.contract"="\#(bench.mark)""#
            async let imported = bench.client.importImage(reading, as: image, changes: [label])
            try await Self.write(megabytes: 64, to: consume writing)
            let id = try await imported
            let made = try #require(try await bench.client.inspect(image: image))
            #expect(made.id == id)
            #expect(try #require(made.sizeBytes) >= 64 << 20)
        },
        Row("an import that is cancelled leaves no image") { bench in
            let (reading, writing) = try Descriptor.pipe()
            let image = try bench.image
            let call = Task {
                await Clients.failure { () async throws(DockerError) in
                    try await bench.client.importImage(reading, as: image)
                }
            }
            // More than pipe and sockets hold: some of it has come to the engine.
            try await Self.write(TarArchive.header("file", size: 4 << 20), to: writing)
            try await Self.write([UInt8](repeating: 1, count: 2 << 20), to: writing)
            call.cancel()
            #expect(await call.value == DockerError(.imageImport, .cancelled))
            #expect(try await bench.client.inspect(image: image) == nil)
            _ = try await bench.importImage()
        },
    ]

    /// Writes an archive of one file.
    private static func write(megabytes: Int, to pipe: consuming Descriptor) async throws {
        try await write(TarArchive.header("file", size: megabytes << 20), to: pipe)
        let megabyte = [UInt8](repeating: 7, count: 1 << 20)
        for _ in 0..<megabytes { try await write(megabyte, to: pipe) }
        try await write(TarArchive.end, to: pipe)
    }

    /// Writes, which may wait for the reader, on a thread that may wait.
    @concurrent
    private static func write(_ bytes: [UInt8], to pipe: Descriptor) async throws {
        try pipe.writeAll(bytes)
    }
}
