// SPDX-License-Identifier: Apache-2.0
import Glibc
import JSON
import Kernel
import Testing

@testable import DockerAPI

/// A real engine that the test run was given.
enum TestEngine: String, Sendable {
    case docker = "SANDBOXD_TEST_DOCKER"
    case podman = "SANDBOXD_TEST_PODMAN"

    /// The path of its socket; nil without one.
    var socket: String? {
        guard let value = getenv(rawValue), value.pointee != 0 else { return nil }
        let text = String(cString: value)
        return text.hasPrefix("unix://") ? String(text.dropFirst("unix://".count)) : text
    }

    /// Runs `body` with a client and names of its own, and removes what has these names.
    func withBench<Value>(_ body: (Bench) async throws -> Value) async throws -> Value {
        let address = try EngineAddress("unix://" + (try #require(socket)))
        let client = DockerClient(address, on: try Clients.loop.get())
        let bench = Bench(client: client, engine: self)
        do {
            let value = try await body(bench)
            try await bench.clean()
            return value
        } catch {
            try await bench.clean()
            throw error
        }
    }
}

/// A client of a real engine, and what one test makes there.
struct Bench: Sendable {
    let client: DockerClient
    let engine: TestEngine
    /// Part of every name, and a label of everything.
    let mark = "sandboxd-contract-\(UInt64.random(in: 0 ... .max))"

    var labels: [String: String] { ["dev.sandboxd.contract": mark] }
    var image: ImageReference { get throws { try ImageReference("localhost/\(mark):one") } }
    var container: String { mark }

    /// The image of two tiny programs, imported.
    func importImage() async throws -> String {
        let archive = TarArchive.bytes([
            ("wait", TinyProgram.waiting), ("seven", TinyProgram.exitingWithSeven),
        ])
        return try await client.importImage(
            try Descriptor.memoryAtStart(archive),
            as: try image,
            changes: [#"LABEL "dev.sandboxd.contract"="\#(mark)""#]
        )
    }

    /// A create body.
    func body(_ program: String, image: String? = nil) throws -> JSONValue {
        let image = try image ?? self.image.description
        return .object([
            "Image": .string(image),
            "Cmd": .array([.string(program)]),
            "Labels": .object(labels.mapValues { .string($0) }),
            "HostConfig": .object(["NetworkMode": .string("none")]),
        ])
    }

    /// Imports the image, makes a container of a program, and starts it.
    func run(_ program: String) async throws -> String {
        _ = try await importImage()
        let created = try await client.create(name: container, body: try body(program))
        try await client.start(created.id)
        return created.id
    }

    /// Waits for the container's end.
    func awaitEnd() async throws {
        let path = RequestPath("/containers/", container, "/wait").text
        _ = try await client.ask(EngineRequest(.inspect, .post, path, limits: .change))
    }

    /// Removes everything that has the mark.
    func clean() async throws {
        for container in try await client.list(labels: labels) {
            _ = try await client.remove(container.id, force: true, volumes: true)
        }
        for image in try await client.images(labels: labels) {
            for tag in image.tags {
                _ = try await client.remove(image: try ImageReference(tag))
            }
            if image.tags.isEmpty {
                _ = try await client.remove(image: try ImageReference(image.id))
            }
        }
        await client.close()
    }
}

extension Descriptor {
    /// A file in memory that is read from its start.
    static func memoryAtStart(_ bytes: [UInt8]) throws -> Descriptor {
        let file = try Descriptor.memory(bytes, name: "archive")
        _ = try kernel { lseek(file.number, 0, SEEK_SET) }
        return file
    }
}

extension Trait where Self == ConditionTrait {
    /// Needs a real engine.
    static func engine(_ engine: TestEngine) -> Self {
        .enabled(
            if: engine.socket != nil,
            "\(engine.rawValue) is not set: run scripts/with-engines"
        )
    }
}
