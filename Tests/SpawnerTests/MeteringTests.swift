// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import DockerAPI
@testable import Spawner

/// Which engines are used, and who meters their containers.
@Suite("Who meters a container")
struct MeteringTests {
    /// The daemon's.
    private static let user: UInt32 = 999
    private static let rootless = #"["name=seccomp,profile=default","name=rootless"]"#
    private static let caps = #","MemoryLimit":true,"PidsLimit":true,"CpuCfsQuota":true"#

    private static func info(
        _ options: String,
        driver: String = "systemd",
        _ more: String = caps,
        listener: UInt32?
    ) throws -> EngineInfo {
        func reading(_ text: String) throws -> Reading {
            var answer = EngineAnswer()
            answer.body = Array(text.utf8)
            return try Reading(answer)
        }
        return try EngineInfo(
            reading(#"{"SecurityOptions":\#(options),"CgroupDriver":"\#(driver)"\#(more)}"#),
            engine: EngineVersion(
                reading(#"{"Components":[{"Name":"Engine"}],"Version":"1","ApiVersion":"1.41"}"#)
            ),
            agreedVersion: .oldest,
            listener: listener
        )
    }

    /// What it is refused for, or who meters.
    private static func decision(
        _ info: EngineInfo,
        cgroupVersion: Int = 2,
        allowsRootful: Bool = false
    ) -> String {
        do throws(SpawnError) {
            let metering = try info.metering(
                cgroupVersion: cgroupVersion,
                allowsRootful: allowsRootful,
                user: user
            )
            return "\(metering)"
        } catch {
            return error.description
        }
    }

    @Test("an engine of the daemon's own user is used, whoever of the two can cap")
    func own() throws {
        let ours = try Self.info(Self.rootless, listener: Self.user)
        #expect(Self.decision(ours) == "engine")
        #expect(Self.decision(ours, cgroupVersion: 1) == "own")
        let capless = try Self.info(Self.rootless, driver: "none", "", listener: Self.user)
        #expect(Self.decision(capless, cgroupVersion: 1) == "own")
        #expect(Self.decision(capless).contains("can cap neither"))
    }

    @Test("another user's, and one of which the kernel tells no user, is refused")
    func others() throws {
        let theirs = try Self.info(Self.rootless, listener: Self.user + 1)
        #expect(Self.decision(theirs).contains("it belongs to user \(Self.user + 1)"))
        let unknown = try Self.info(Self.rootless, listener: nil)
        #expect(Self.decision(unknown).contains("a user whom the kernel does not tell"))
        // Nobody has said that this is root's.
        #expect(Self.decision(unknown, allowsRootful: true).contains("does not tell"))
    }

    @Test(
        "root's is refused without leave, whether the engine says so or the kernel",
        arguments: [(#"["name=seccomp"]"#, 1000), (rootless, 0)] as [(String, UInt32)]
    )
    func rootful(options: String, listener: UInt32) throws {
        let engine = try Self.info(options, listener: listener)
        #expect(Self.decision(engine).contains("--allow-rootful"))
        #expect(Self.decision(engine, allowsRootful: true) == "engine")
    }

    @Test("one without filters for system calls is refused")
    func filterless() throws {
        let engine = try Self.info(#"["name=rootless"]"#, listener: Self.user)
        #expect(Self.decision(engine).contains("cannot filter system calls"))
    }
}
