// SPDX-License-Identifier: Apache-2.0
import Glibc
import JSON
import Testing

@testable import DockerAPI

extension Contract {
    static let ofEngine = [
        Row("it says what it is, and is rootless") { bench in
            let info = try await bench.client.info()
            #expect(info.engine.kind == (bench.engine == .docker ? .docker : .podman))
            #expect(info.isRootless)
            #expect(info.listener != nil && info.listener != 0)
            #expect(info.agreedVersion >= APIVersion.oldest)
            let standard = try #require(info.defaultRuntime)
            #expect(info.runtimes.contains(standard))
            #expect(info.cgroupDriver != nil && info.operatingSystem == "linux")
            #expect(try #require(info.memoryBytes) > 0)
        }
    ]

    static let ofContainers = [
        Row("a container is made, started, seen running, killed and removed") { bench in
            let client = bench.client
            let image = try await bench.importImage()
            let created = try await client.create(
                name: bench.container,
                body: try bench.body("/wait")
            )
            let made = try #require(try await client.inspect(created.id))
            #expect(made.id == created.id && made.name == bench.container)
            #expect(made.imageID == image)
            #expect(made.state.status == .created && !made.state.isRunning)
            #expect(made.state.pid == nil)
            #expect(made.labels.filter { bench.labels[$0.key] != nil } == bench.labels)
            #expect(made.hostConfig["NetworkMode"]?.text == "none")
            try await client.start(bench.container)
            // Again, by its id: it runs already.
            try await client.start(created.id)
            let running = try #require(try await client.inspect(bench.container))
            #expect(running.state.status == .running && running.state.isRunning)
            let pid = try #require(running.state.pid)
            #expect(access("/proc/\(pid)", F_OK) == 0)
            #expect(try await client.kill(created.id) == .done)
            try await bench.awaitEnd()
            let ended = try #require(try await client.inspect(created.id))
            #expect(ended.state.status == .exited && ended.state.pid == nil)
            #expect(ended.state.exitCode == 137 && !ended.state.oomKilled)
            #expect(try await client.kill(created.id) == .notRunning)
            #expect(try await client.remove(created.id, force: true, volumes: true) == .done)
            #expect(try await client.inspect(created.id) == nil)
        },
        Row("containers are listed by their labels, and no others") { bench in
            let id = try await bench.run("/wait")
            let listed = try await bench.client.list(labels: bench.labels)
            #expect(listed.map(\.id) == [id])
            #expect(listed.first?.names == [bench.container])
            #expect(listed.first?.status == .running)
            #expect(listed.first?.labels.filter { bench.labels[$0.key] != nil } == bench.labels)
            let key = try #require(bench.labels.keys.first)
            let others = try await bench.client.list(labels: [key: bench.mark + "0"])
            #expect(others.isEmpty)
            let both = bench.labels.merging(["dev.sandboxd.other": "x"]) { old, _ in old }
            #expect(try await bench.client.list(labels: both).isEmpty)
        },
        Row("an exit code is the program's") { bench in
            let id = try await bench.run("/seven")
            try await bench.awaitEnd()
            let ended = try await bench.client.inspect(id)
            #expect(ended?.state.exitCode == 7)
            // Nobody forces it: it does not run.
            let ending = try await bench.client.remove(id, force: false, volumes: true)
            #expect(ending == .done)
        },
        Row("two who remove one container at once both see it gone") { bench in
            let id = try await bench.run("/wait")
            let client = bench.client
            async let first = client.remove(id, force: true, volumes: true)
            async let second = client.remove(id, force: true, volumes: true)
            let endings = try await [first, second]
            #expect(endings.contains(.done))
            #expect(try await client.inspect(id) == nil)
        },
    ]
}
