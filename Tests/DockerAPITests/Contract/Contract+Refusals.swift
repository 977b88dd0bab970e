// SPDX-License-Identifier: Apache-2.0
import JSON
import Kernel
import Testing

@testable import DockerAPI

extension Contract {
    static let ofRefusals = [
        Row("what is not there is gone, or nil, or 404") { bench in
            let client = bench.client
            #expect(try await client.inspect("no-such-container") == nil)
            #expect(try await client.kill("no-such-container") == .gone)
            let removed = try await client.remove("no-such-container", force: true, volumes: true)
            #expect(removed == .gone)
            #expect(try await client.inspect(image: bench.image) == nil)
            #expect(try await client.remove(image: bench.image) == .gone)
            let unknown = try ImageReference("sha256:" + String(repeating: "0", count: 64))
            #expect(try await client.inspect(image: unknown) == nil)
            #expect(try await client.remove(image: unknown) == .gone)
            let started = await Clients.failure { () async throws(DockerError) in
                try await client.start("no-such-container")
            }
            #expect(started?.call == .start && started?.status == 404)
            let image = try bench.image
            let tagged = await Clients.failure { () async throws(DockerError) in
                try await client.tag(unknown, as: image)
            }
            #expect(tagged?.call == .imageTag && tagged?.status == 404)
        },
        Row("an image that is not there makes no container") { bench in
            let body = try bench.body("/wait")
            let error = await Clients.failure { () async throws(DockerError) in
                try await bench.client.create(name: bench.container, body: body)
            }
            #expect(error?.call == .create && error?.status == 404)
            #expect(error?.blamesEngine == false)
        },
        Row("a name is given once") { bench in
            let id = try await bench.run("/wait")
            let body = try bench.body("/wait")
            let error = await Clients.failure { () async throws(DockerError) in
                try await bench.client.create(name: bench.container, body: body)
            }
            guard case .nameTaken(bench.container, let message) = error?.reason else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(message.contains(bench.container))
            #expect(try await bench.client.inspect(bench.container)?.id == id)
        },
        Row("a body that makes no sense is refused in the engine's words") { bench in
            let error = await Clients.failure { () async throws(DockerError) in
                try await bench.client.create(name: bench.container, body: .array([]))
            }
            guard case .answered(let status, let message) = error?.reason else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect((400...599).contains(status) && !message.isEmpty)
        },
        Row("a program that is not there starts no container") { bench in
            _ = try await bench.importImage()
            let body = try bench.body("/no-such-program")
            let created = try await bench.client.create(name: bench.container, body: body)
            let error = await Clients.failure { () async throws(DockerError) in
                try await bench.client.start(created.id)
            }
            #expect(error?.call == .start && error?.status != nil)
            #expect(error?.description.contains("no-such-program") == true)
            #expect(try await bench.client.inspect(created.id)?.state.isRunning == false)
        },
        Row("a container that runs is removed by force alone") { bench in
            let id = try await bench.run("/wait")
            let error = await Clients.failure { () async throws(DockerError) in
                try await bench.client.remove(id, force: false, volumes: true)
            }
            #expect(error?.call == .remove && error?.status != nil)
            #expect(try await bench.client.remove(id, force: true, volumes: true) == .done)
        },
        Row("an image that a container uses is not removed") { bench in
            _ = try await bench.run("/wait")
            let image = try bench.image
            let error = await Clients.failure { () async throws(DockerError) in
                try await bench.client.remove(image: image)
            }
            guard case .inUse = error?.reason else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(try await bench.client.inspect(image: image) != nil)
        },
        Row("what is no archive makes no image, and the next one is made") { bench in
            let garbage = (0..<(8 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 31) }
            let file = try Descriptor.memoryAtStart(garbage)
            let image = try bench.image
            let error = await Clients.failure { () async throws(DockerError) in
                try await bench.client.importImage(file, as: image)
            }
            switch error?.reason {
            case .answered, .reported: break
            default: Issue.record("\(String(describing: error))")
            }
            #expect(try await bench.client.inspect(image: image) == nil)
            _ = try await bench.importImage()
        },
        Row("a registry that cannot be reached is the engine's error") { bench in
            let image = try ImageReference("127.0.0.1:1/nothing:one")
            let error = await Clients.failure { () async throws(DockerError) in
                try await bench.client.pull(image)
            }
            switch error?.reason {
            case .answered(500, let message), .reported(let message):
                #expect(message.contains("127.0.0.1:1"))
            default: Issue.record("\(String(describing: error))")
            }
        },
    ]
}
