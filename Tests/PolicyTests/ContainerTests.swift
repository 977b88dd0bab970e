// SPDX-License-Identifier: Apache-2.0
import Foundation
import JSON
import Testing

@testable import Policy

/// What a Docker engine is asked for.
@Suite("A policy as a container")
struct ContainerTests {
    private static let directory = "/var/lib/sandboxd/state/containers/docker-1"

    private static func place(
        filter: ContainerPlace.FilterForm = .inline,
        isCapped: Bool = true,
        needsUnmask: Bool = false
    ) -> ContainerPlace {
        ContainerPlace(
            image: "sha256:" + String(repeating: "a1", count: 32),
            node: "node-1",
            attempt: String(repeating: "0", count: 32),
            deadline: 1_800_000_000,
            directory: directory,
            filter: filter,
            isCapped: isCapped,
            needsUnmask: needsUnmask,
            runtime: nil
        )
    }

    private static func body(_ place: ContainerPlace = place()) throws -> JSONValue {
        try Fixture.policy("code").containerBody(place)
    }

    private static func problems(_ body: JSONValue) -> [String] {
        ContainerSchema.problems(in: body, directory: directory)
    }

    @Test("what is asked for fits the schema, in each of its forms")
    func fits() throws {
        let file = ContainerPlace.FilterForm.file(Self.directory + "/seccomp.json")
        for place in [
            Self.place(), Self.place(isCapped: false), Self.place(filter: file, needsUnmask: true),
        ] {
            #expect(Self.problems(try Self.body(place)) == [])
        }
    }

    @Test("the limits are the policy's, with room for our two tasks")
    func limits() throws {
        let policy = try Fixture.policy("code")
        let host = try #require(policy.containerBody(Self.place())["HostConfig"])
        #expect(host["Memory"]?.int == Int(policy.limits.memoryBytes))
        #expect(
            host["MemorySwap"]?.int == Int(policy.limits.memoryBytes + policy.limits.swapBytes)
        )
        #expect(host["PidsLimit"]?.int == Int(policy.limits.pids) + 2)
        #expect(host["NanoCpus"]?.int == Int(policy.limits.cpuMillicores) * 1_000_000)
        let own = try #require(policy.containerBody(Self.place(isCapped: false))["HostConfig"])
        for key in ["Memory", "MemorySwap", "PidsLimit", "NanoCpus"] { #expect(own[key] == nil) }
    }

    @Test("a runtime is for a container engine alone, and comes out in the body")
    func runtime() throws {
        let yaml = Fixture.yaml("engine: [native, docker]", "engine: [docker]\nruntime: runsc")
        let profile = try Profile(yaml: yaml, file: "sample.yaml")
        #expect(profile.runtime == "runsc")
        #expect(throws: ProfileError.self) {
            try Profile(
                yaml: Fixture.yaml(
                    "engine: [native, docker]",
                    "engine: [native, docker]\nruntime: runsc"
                ),
                file: "sample.yaml"
            )
        }
    }

    /// One change of a body that would let a job out.
    struct Escape: Sendable, CustomTestStringConvertible {
        let keys: [String]
        let value: JSONValue?
        var testDescription: String {
            keys.joined(separator: ".") + "="
                + String(decoding: value?.bytes ?? Array("nothing".utf8), as: UTF8.self)
        }

        init(_ keys: String..., value: JSONValue?) {
            self.keys = keys
            self.value = value
        }
    }

    static let escapes: [Escape] = [
        Escape("HostConfig", "Privileged", value: .bool(true)),
        Escape("HostConfig", "NetworkMode", value: .string("host")),
        Escape("HostConfig", "NetworkMode", value: .string("bridge")),
        Escape("HostConfig", "PidMode", value: .string("host")),
        Escape("HostConfig", "UTSMode", value: .string("host")),
        Escape("HostConfig", "UsernsMode", value: .string("host")),
        Escape("HostConfig", "IpcMode", value: .string("host")),
        Escape("HostConfig", "CgroupnsMode", value: .string("host")),
        Escape("HostConfig", "CgroupParent", value: .string("/")),
        Escape("HostConfig", "ReadonlyRootfs", value: .bool(false)),
        Escape("HostConfig", "CapAdd", value: .array([.string("SYS_ADMIN")])),
        Escape("HostConfig", "CapDrop", value: .array([])),
        Escape("HostConfig", "Binds", value: .array([.string("/:/host")])),
        Escape("HostConfig", "Binds", value: .array([.string(directory + ":/.sandboxd")])),
        Escape(
            "HostConfig",
            "Binds",
            value: .array([.string(directory + "/../docker-2:/.sandboxd:ro")])
        ),
        Escape(
            "HostConfig",
            "Binds",
            value: .array([
                .string(directory + ":/.sandboxd:ro"), .string("/run/docker.sock:/s"),
            ])
        ),
        Escape(
            "HostConfig",
            "Mounts",
            value: .array([
                .object(["Type": .string("bind"), "Source": .string("/"), "Target": .string("/x")])
            ])
        ),
        Escape("HostConfig", "Devices", value: .array([])),
        Escape("HostConfig", "DeviceRequests", value: .array([])),
        Escape("HostConfig", "VolumesFrom", value: .array([.string("other")])),
        Escape("HostConfig", "SecurityOpt", value: .array([])),
        Escape(
            "HostConfig",
            "SecurityOpt",
            value: .array([.string("no-new-privileges"), .string("seccomp=unconfined")])
        ),
        Escape(
            "HostConfig",
            "SecurityOpt",
            value: .array([.string("no-new-privileges"), .string("seccomp=/etc/passwd")])
        ),
        Escape("HostConfig", "Sysctls", value: .object([:])),
        Escape("HostConfig", "Memory", value: .number("0")),
        Escape("HostConfig", "Memory", value: .number("-1")),
        Escape("HostConfig", "PidsLimit", value: .number("-1")),
        Escape("HostConfig", "Runtime", value: .string("../runc")),
        Escape("HostConfig", "RestartPolicy", value: .object(["Name": .string("always")])),
        Escape("HostConfig", "LogConfig", value: .object(["Type": .string("json-file")])),
        Escape("HostConfig", "AutoRemove", value: .bool(true)),
        Escape("HostConfig", value: nil),
        Escape("HostConfig", value: .array([])),
        Escape("Image", value: .string("code:latest")),
        Escape("Image", value: .string("sha256:" + String(repeating: "G", count: 64))),
        Escape("Entrypoint", value: .array([.string("/bin/sh")])),
        Escape("Cmd", value: .array([])),
        Escape("User", value: .string("1000")),
        Escape("User", value: nil),
        Escape("Env", value: .array([.string("LD_PRELOAD=/x")])),
        Escape("Labels", value: .object([:])),
        Escape("Tty", value: .bool(true)),
        Escape("Volumes", value: .object(["/x": .object([:])])),
        Escape("ExposedPorts", value: .object([:])),
        Escape("NetworkingConfig", value: .object([:])),
    ]

    @Test("whatever would let a job out is found, by the key's name", arguments: escapes)
    func escape(_ escape: Escape) throws {
        let body = Self.changed(try Self.body(), escape.keys[...], escape.value)
        let problems = Self.problems(body)
        let key = try #require(escape.keys.last)
        #expect(problems.contains { $0.contains("." + key) }, "\(problems)")
    }

    private static func changed(
        _ body: JSONValue,
        _ keys: ArraySlice<String>,
        _ value: JSONValue?
    ) -> JSONValue {
        guard case .object(var members) = body, let key = keys.first else { return body }
        members[key] =
            keys.count == 1 ? value : changed(members[key] ?? .null, keys.dropFirst(), value)
        return .object(members)
    }

    @Test("what init calls is in its source, and the list has no more")
    func initCalls() throws {
        let sources = Fixture.directory + "/../Sources/sandboxd-init"
        var called: Set<String> = []
        for file in try FileManager.default.contentsOfDirectory(atPath: sources)
        // What runs on the host, outside of every sandbox.
        where !["janitor.c", "tether.c"].contains(file) {
            let text = try String(contentsOfFile: sources + "/" + file, encoding: .utf8)
            for word in text.split(whereSeparator: { !$0.isLetter && !$0.isNumber && $0 != "_" })
            where word.hasPrefix("__NR_") { called.insert(String(word.dropFirst("__NR_".count))) }
        }
        let runtime = try #require(InitCalls.groups.last)
        let listed = Set(InitCalls.groups.dropLast().flatMap(\.names))
        #expect(listed.symmetricDifference(called).isEmpty)
        #expect(runtime.why.contains("runc"))
    }

    @Test("the container's filter lets through what the policy allows, and judges what it judges")
    func filter() throws {
        let policy = try Fixture.policy("code")
        let filter = policy.containerFilter()
        #expect(filter["defaultAction"]?.text == "SCMP_ACT_ERRNO")
        #expect(filter["defaultErrnoRet"]?.int == 38)
        let rules = try #require(filter["syscalls"]?.elements)
        let plain = Set(
            rules.filter { $0["args"] == nil }.flatMap { $0["names"]?.elements ?? [] }
                .compactMap(\.text)
        )
        let judged = Set(
            rules.filter { $0["args"] != nil }.flatMap { $0["names"]?.elements ?? [] }
                .compactMap(\.text)
        )
        #expect(plain.isDisjoint(with: judged))
        for rule in policy.syscalls.rules {
            switch rule.decision {
            case .allow, .except: #expect(plain.contains(rule.name))
            case .only: #expect(plain.contains(rule.name) || judged.contains(rule.name))
            case .refuse:
                let isForInit = InitCalls.names.contains(rule.name)
                #expect(plain.contains(rule.name) == isForInit, "\(rule.name)")
            }
        }
        for name in ["bpf", "keyctl", "ptrace", "init_module", "kexec_load", "io_uring_setup"] {
            #expect(!plain.contains(name) && !judged.contains(name), "\(name)")
        }
    }
}
