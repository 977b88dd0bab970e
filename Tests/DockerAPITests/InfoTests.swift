// SPDX-License-Identifier: Apache-2.0
import JSON
import Testing

@testable import DockerAPI

@Suite("What an engine says of itself", .timeLimit(.minutes(1))) struct InfoTests {
    private static func info(
        _ info: String,
        version: String = FakeAnswers.version()
    ) async throws -> EngineInfo {
        let script: FakeEngine.Script = { request in
            switch request.path.split(separator: "/").last {
            case "version": FakeAnswers.json(version)
            case "info": FakeAnswers.json(info)
            default: FakeAnswers.working(request)
            }
        }
        return try await Clients.withFake(script) { client, _ in try await client.info() }
    }

    @Test("everything is read")
    func whole() async throws {
        let info = try await Self.info(FakeAnswers.info)
        #expect(info.engine.description == "Docker 20.10.24+dfsg1, API 1.41")
        #expect(info.isRootless && info.hasSeccomp)
        #expect(info.cgroupDriver == "none" && info.cgroupVersion == "1")
        #expect(info.runtimes == ["crun", "runc"] && info.defaultRuntime == "runc")
        #expect(info.storageDriver == "overlay2" && info.architecture == "x86_64")
        #expect(info.limits.memory == false && info.limits.cpuQuota == true)
        #expect(info.memoryBytes == 25_276_510_208 && info.processors == 2)
        #expect(info.warnings == ["WARNING: Running in rootless-mode without cgroups."])
    }

    @Test("Podman is told from Docker, and says in another place that it is rootless")
    func podman() async throws {
        let version = FakeAnswers.version().replacing("\"Engine\"", with: "\"Podman Engine\"")
        let info = try await Self.info(#"{"Rootless":true,"SecurityOptions":[]}"#, version: version)
        #expect(info.engine.kind == .podman)
        #expect(info.isRootless && !info.hasSeccomp)
    }

    @Test("what is not said is not known, and nothing is taken to be rootless")
    func missing() async throws {
        for text in ["{}", #"{"MemoryLimit":null,"Runtimes":null,"SecurityOptions":null}"#] {
            let info = try await Self.info(text)
            #expect(!info.isRootless && !info.hasSeccomp)
            #expect(info.limits.memory == nil && info.cgroupDriver == nil)
            #expect(info.runtimes.isEmpty && info.warnings.isEmpty && info.memoryBytes == nil)
        }
        let lookalike = #"{"SecurityOptions":["name=rootlessness","x=name=rootless","rootless"]}"#
        #expect(try await Self.info(lookalike).isRootless == false)
    }

    /// Each key with each type that it does not have: never a trap, and always its name.
    @Test("a key of an absurd type is an error that names it")
    func absurd() throws {
        let whole = try #require(JSONParser.parse(Array(FakeAnswers.info.utf8)))
        guard case .object(let members) = whole else { return }
        let version = try EngineVersion(Self.reading(FakeAnswers.version()))
        let absurd: [JSONValue] = [
            .bool(true), .number("1e999"), .number("-7"), .string("\0"), .array([.number("1")]),
            .array([.array([])]), .object(["a": .number("1")]),
        ]
        var refusals = 0
        for key in members.keys {
            for value in absurd {
                var spoilt = members
                spoilt[key] = value
                do throws(DockerError.Reason) {
                    _ = try EngineInfo(
                        Self.reading(
                            String(decoding: JSONValue.object(spoilt).bytes, as: UTF8.self)
                        ),
                        engine: version,
                        agreedVersion: .oldest,
                        listener: nil
                    )
                } catch {
                    refusals += 1
                    #expect(error.description.contains("'\(key)'"))
                }
            }
        }
        // All keys but one are read, and each bears one or two of the seven.
        #expect(refusals > members.count * 4)
    }

    private static func reading(_ text: String) throws(DockerError.Reason) -> Reading {
        var answer = EngineAnswer()
        answer.body = Array(text.utf8)
        return try Reading(answer)
    }
}
