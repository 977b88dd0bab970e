// SPDX-License-Identifier: Apache-2.0
import JSON
import Kernel
import Testing

@testable import DockerAPI

@Suite("Names that go into requests", .timeLimit(.minutes(1))) struct NameTests {
    /// None of these reaches an engine, by any call.
    @Test(
        "what is no container is refused before anything is sent",
        arguments: [
            "", "/x", "a/../b", "..", ".x", "-x", "a b", "a?b", "a#b", "a%2fb", "a\nb", "a\0b",
            "ä",
            String(repeating: "x", count: 129),
        ]
    )
    func container(name: String) async throws {
        try await Clients.withFake { client, engine in
            let calls: [(DockerError.Call, (DockerClient) async throws(DockerError) -> Void)] = [
                (
                    .create,
                    { client async throws(DockerError) in
                        _ = try await client.create(name: name, body: .object([:]))
                    }
                ),
                (.start, { client async throws(DockerError) in try await client.start(name) }),
                (.kill, { client async throws(DockerError) in _ = try await client.kill(name) }),
                (
                    .inspect,
                    { client async throws(DockerError) in _ = try await client.inspect(name) }
                ),
                (
                    .remove,
                    { client async throws(DockerError) in
                        _ = try await client.remove(name, force: true, volumes: true)
                    }
                ),
            ]
            for (call, body) in calls {
                let error = await Clients.failure { () async throws(DockerError) in
                    try await body(client)
                }
                #expect(error?.call == call)
                guard case .invalid(let what) = error?.reason else {
                    Issue.record("\(String(describing: error))")
                    continue
                }
                #expect(what.contains("is no name of a container"))
            }
            #expect(engine.requests.isEmpty)
        }
    }

    @Test(
        "a label that could be another one is refused before anything is sent",
        arguments: [
            ("", "x"), ("a=b", "c"), ("a", "x\ny"), ("a\0", ""),
            ("a", String(repeating: "x", count: 1024)),
        ]
    )
    func label(key: String, value: String) async throws {
        try await Clients.withFake { client, engine in
            let errors = [
                await Clients.failure { () async throws(DockerError) in
                    try await client.list(labels: [key: value])
                },
                await Clients.failure { () async throws(DockerError) in
                    try await client.images(labels: [key: value])
                },
            ]
            for error in errors {
                guard case .invalid(let what) = error?.reason else {
                    Issue.record("\(String(describing: error))")
                    continue
                }
                #expect(what.contains("is no label"))
            }
            #expect(engine.requests.isEmpty)
        }
    }

    @Test("labels are sent as one JSON text, percent-encoded")
    func labels() async throws {
        try await Clients.withFake { client, engine in
            _ = try await client.list(labels: ["b": "2\"&=%", "a": ""])
            #expect(
                engine.requests.last?.path == "/v1.41/containers/json?all=1&filters="
                    + "%7B%22label%22%3A%5B%22a%3D%22%2C%22b%3D2%5C%22%26%3D%25%22%5D%7D"
            )
        }
    }

    @Test(
        "an import's instruction is one line",
        arguments: ["", "LABEL a=b\nUSER root", "ENV a=\u{7}"]
    )
    func change(text: String) async throws {
        try await Clients.withFake { client, engine in
            let archive = try Descriptor.memoryAtStart([])
            let image = try ImageReference("some:one")
            let error = await Clients.failure { () async throws(DockerError) in
                try await client.importImage(archive, as: image, changes: [text])
            }
            #expect(error?.description.contains("is no instruction") == true)
            #expect(engine.requests.isEmpty)
        }
    }

    @Test("a name that is to be given has a tag, and what is to be pulled a tag or a digest")
    func incomplete() async throws {
        let digest = FakeAnswers.imageID
        let archive = try Descriptor.memoryAtStart([])
        try await Clients.withFake { client, engine in
            for text in ["some", "some:one@\(digest)", digest] {
                let image = try ImageReference(text)
                for error in [
                    await Clients.failure { () async throws(DockerError) in
                        try await client.importImage(archive, as: image)
                    },
                    await Clients.failure { () async throws(DockerError) in
                        try await client.tag(image, as: image)
                    },
                ] {
                    #expect(error?.description.contains("write NAME:TAG") == true)
                }
            }
            for text in ["some", digest] {
                let image = try ImageReference(text)
                let error = await Clients.failure { () async throws(DockerError) in
                    try await client.pull(image)
                }
                #expect(error?.description.contains("NAME@sha256:DIGEST") == true)
            }
            #expect(engine.requests.isEmpty)
        }
    }
}
