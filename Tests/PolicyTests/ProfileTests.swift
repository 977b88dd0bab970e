// SPDX-License-Identifier: Apache-2.0
import Policy
import Testing

@Suite struct ProfileTests {
    /// A piece of the fixture, what it is replaced by, and the error that must come of it.
    struct Mistake: CustomTestStringConvertible {
        let piece: String
        let replacement: String
        let error: String

        init(_ piece: String, _ replacement: String, _ error: String) {
            self.piece = piece
            self.replacement = replacement
            self.error = error
        }

        var testDescription: String { "\(piece) → \(replacement)" }
    }

    @Test("a good profile loads")
    func good() throws {
        let profile = try Profile(yaml: Fixture.yaml, file: "sample.yaml")
        #expect(profile.name == "sample")
        #expect(profile.engines == [.native, .docker])
        #expect(profile.limits.memoryBytes == 512 << 20)
        #expect(profile.limits.swapBytes == 0)
        #expect(profile.limits.cpuMillicores == 1500)
        #expect(profile.limits.visibleCPUs == 2)
        #expect(profile.limits.cpuTime == .seconds(60))
        #expect(profile.limits.wallTime == .seconds(120))
    }

    @Test(
        "a malformed limit is refused with file, line, key and mend",
        arguments: [
            Mistake(
                "pids: 128",
                "pids: 0",
                "sample.yaml:8: limits.pids: \"0\" is zero; write 2 to 32768"
            ),
            Mistake(
                "pids: 128",
                "pids: -1",
                "sample.yaml:8: limits.pids: \"-1\" is negative;"
                    + " write a whole number, such as 128"
            ),
            Mistake(
                "pids: 128",
                "pids: many",
                "sample.yaml:8: limits.pids: \"many\" is malformed;"
                    + " write a whole number, such as 128"
            ),
            Mistake(
                "pids: 128",
                "pids: 1",
                "sample.yaml:8: limits.pids: \"1\" is too small; write 2 to 32768"
            ),
            Mistake(
                "pids: 128",
                "pids: 32769",
                "sample.yaml:8: limits.pids: \"32769\" is too large; write 2 to 32768"
            ),
            Mistake(
                "pids: 128",
                "pids: 99999999999999999999",
                "sample.yaml:8: limits.pids: \"99999999999999999999\" does not fit into 64 bits;"
                    + " write a whole number, such as 128"
            ),
            Mistake(
                "pids: 128",
                "pids: unlimited",
                "sample.yaml:8: limits.pids: \"unlimited\" is no limit, and every run has one;"
                    + " write 2 to 32768"
            ),
            Mistake(
                "pids: 128",
                "pids:",
                "sample.yaml:8: limits.pids: has no value; write one behind the colon"
            ),
            Mistake(
                "pids: 128",
                "pids: [128]",
                "sample.yaml:8: limits.pids: is a list or a section; write a single value"
            ),
            Mistake(
                "pids: 128",
                "pids: 0x80",
                "sample.yaml:8: limits.pids: \"0x80\" is malformed;"
                    + " write a whole number, such as 128"
            ),
            Mistake(
                "memory: 512MiB",
                "memory: 512MB",
                "sample.yaml:6: limits.memory: \"512MB\" is malformed;"
                    + " write a whole number and B, KiB, MiB, GiB or TiB, such as 512MiB"
            ),
            Mistake(
                "memory: 512MiB",
                "memory: 99999999999 GiB",
                "sample.yaml:6: limits.memory: \"99999999999 GiB\" does not fit into 64 bits;"
                    + " write a whole number and B, KiB, MiB, GiB or TiB, such as 512MiB"
            ),
            Mistake(
                "memory: 512MiB",
                "memory: 15MiB",
                "sample.yaml:6: limits.memory: \"15MiB\" is too small; write 16MiB to 4TiB"
            ),
            Mistake(
                "memory: 512MiB",
                "memory: 512",
                "sample.yaml:6: limits.memory: \"512\" is malformed;"
                    + " write a whole number and B, KiB, MiB, GiB or TiB, such as 512MiB"
            ),
            Mistake(
                "memory: 512MiB",
                "memory: 0",
                "sample.yaml:6: limits.memory: \"0\" is zero; write 16MiB to 4TiB"
            ),
            Mistake(
                "swap: 0",
                "swap: -1MiB",
                "sample.yaml:7: limits.swap: \"-1MiB\" is negative;"
                    + " write a whole number and B, KiB, MiB, GiB or TiB, such as 512MiB"
            ),
            Mistake(
                "cpu: 1.5",
                "cpu: 1.2345",
                "sample.yaml:9: limits.cpu: \"1.2345\" is malformed;"
                    + " write a number of cores with at most three decimals, such as 1 or 1.5"
            ),
            Mistake(
                "cpu: 1.5",
                "cpu: 0.001",
                "sample.yaml:9: limits.cpu: \"0.001\" is too small; write 0.01 to 1024"
            ),
            Mistake(
                "cpu: 1.5",
                "cpu: .inf",
                "sample.yaml:9: limits.cpu: \".inf\" is malformed;"
                    + " write a number of cores with at most three decimals, such as 1 or 1.5"
            ),
            Mistake(
                "cpu: 1.5",
                "cpu: 99999999999999999",
                "sample.yaml:9: limits.cpu: \"99999999999999999\" does not fit into 64 bits;"
                    + " write a number of cores with at most three decimals, such as 1 or 1.5"
            ),
            Mistake(
                "wall_time: 2min",
                "wall_time: 1.5h",
                "sample.yaml:11: limits.wall_time: \"1.5h\" is malformed;"
                    + " write a whole number and ms, s, min or h, such as 30s"
            ),
            Mistake(
                "wall_time: 2min",
                "wall_time: 9999999999999999h",
                "sample.yaml:11: limits.wall_time: \"9999999999999999h\" does not fit into 64 bits;"
                    + " write a whole number and ms, s, min or h, such as 30s"
            ),
            Mistake(
                "wall_time: 2min",
                "wall_time: 169h",
                "sample.yaml:11: limits.wall_time: \"169h\" is too large; write 100ms to 168h"
            ),
            Mistake(
                "output_total: 64MiB",
                "output_total: 512KiB",
                "sample.yaml:16: limits.output_total: is smaller than limits.output,"
                    + " which could then never be kept; write 1MiB or more"
            ),
        ]
    )
    func badLimit(_ mistake: Mistake) {
        expect(mistake)
    }

    @Test(
        "what is no profile is refused with file, line, key and mend",
        arguments: [
            Mistake(
                "pids: 128",
                "pid: 128",
                "sample.yaml:8: limits.pid: is an unknown key; remove it, or write one of:"
                    + " memory, swap, pids, cpu, cpu_time, wall_time, workspace, workspace_inodes,"
                    + " shared_memory, output, output_total, artifact_bytes, artifact_count,"
                    + " open_files, input_bytes"
            ),
            Mistake(
                "warm: 0",
                "warm: 0\nuser: root",
                "sample.yaml:30: user: is an unknown key; remove it, or write one of: name,"
                    + " description, image, engine, limits, network, syscalls, capabilities, mounts,"
                    + " environment, working_directory, warm, runtime, health,"
                    + " nested_namespaces, secrets, approval"
            ),
            Mistake(
                "  pids: 128",
                "  pids: 128\n  pids: 64",
                "sample.yaml:8: pids: is written twice; keep one of the two"
            ),
            Mistake(
                "name: sample",
                "name: ../etc",
                "sample.yaml:1: name: \"../etc\" is no name; write at most 64 lower-case letters,"
                    + " digits, dots, dashes or underscores"
            ),
            Mistake(
                "description: A profile for tests.",
                "description: \" \"",
                "sample.yaml:2: description: is blank; write a sentence"
            ),
            Mistake(
                "engine: [native, docker]",
                "engine: []",
                "sample.yaml:4: engine: names no engine; write [native], [docker] or both"
            ),
            Mistake(
                "engine: [native, docker]",
                "engine: [native, podman]",
                "sample.yaml:4: engine[1]: \"podman\" is no engine, or there twice;"
                    + " write native, docker, or both in the order you prefer"
            ),
            Mistake(
                "engine: [native, docker]",
                "engine: native",
                "sample.yaml:4: engine: is no list;"
                    + " write a list, such as [] for an empty one"
            ),
            Mistake(
                "network: none",
                "network: host",
                "sample.yaml:21: network: \"host\" is no network; write none, or a section"
            ),
            Mistake(
                "network: none",
                "network: [\"example.com:443\"]",
                "sample.yaml:21: network: is no section; write \"key: value\" lines below it"
            ),
            Mistake(
                "network: none",
                "network: {allow: [], ask: []}",
                "sample.yaml:21: network.bytes: is missing; add it, for nothing has a default"
            ),
            Mistake(
                "network: none",
                "network: {allow: [\"example.com\"], ask: [], bytes: 1MiB}",
                "sample.yaml:21: network.allow[0]: the port is missing; write example.com:443 or"
                    + " \"*:443\""
            ),
            Mistake(
                "network: none",
                "network: {allow: [], ask: [\"*:0\"], bytes: 1MiB}",
                "sample.yaml:21: network.ask[0]: '0' is no port; write example.com:443 or \"*:443\""
            ),
            Mistake(
                "network: none",
                "network: {allow: [], ask: [], bytes: 0}",
                "sample.yaml:21: network.bytes: \"0\" is no cap; write 1B to 1024TiB"
            ),
            Mistake(
                "capabilities: []",
                "capabilities: [cap_net_raw]",
                "sample.yaml:25: capabilities: a job holds no capabilities in this version;"
                    + " write []"
            ),
            Mistake(
                "mounts: []",
                "mounts: [/home]",
                "sample.yaml:26: mounts: a job gets no mounts but its image and workspace in this"
                    + " version; write []"
            ),
            Mistake(
                "environment: {}",
                "environment: {\"A=B\": c}",
                "sample.yaml:27: environment.A=B: is no name of a variable;"
                    + " write letters, digits and underscores"
            ),
            Mistake(
                "environment: {}",
                "environment: {A: \"x\\0y\"}",
                "sample.yaml:27: environment.A: has a NUL or is longer than 64 KiB; shorten it"
            ),
            Mistake(
                "working_directory: /workspace",
                "working_directory: /workspace/../etc",
                "sample.yaml:28: working_directory: \"/workspace/../etc\" is no absolute path;"
                    + " start it with / and leave out \"..\", \".\" and doubled slashes"
            ),
            Mistake(
                "working_directory: /workspace",
                "working_directory: workspace",
                "sample.yaml:28: working_directory: \"workspace\" is no absolute path;"
                    + " start it with / and leave out \"..\", \".\" and doubled slashes"
            ),
            Mistake(
                "warm: 0",
                "warm: 3",
                "sample.yaml:29: warm: \"3\" asks for sandboxes kept ready, which this version"
                    + " cannot do yet; write 0: every run starts a fresh one"
            ),
            Mistake(
                "warm: 0",
                "warm: [",
                "sample.yaml:30: is no YAML: did not find expected node content;"
                    + " mend the line, or the one before it"
            ),
            Mistake(
                Fixture.yaml,
                "",
                "sample.yaml:1: the file is empty; write a profile into it"
            ),
            Mistake(
                Fixture.yaml,
                "just words",
                "sample.yaml:1: is no section; write \"key: value\" lines below it"
            ),
        ]
    )
    func badProfile(_ mistake: Mistake) {
        expect(mistake)
    }

    private static let lines = Fixture.yaml.split(separator: "\n").map(String.init)

    @Test("nothing may be left out", arguments: lines)
    func missing(_ line: String) throws {
        let key = try #require(line.split(separator: ":").first).drop { $0 == " " }
        // A section's own line cannot go without the lines below it.
        guard key != "limits", key != "syscalls" else { return }
        let text = refusal { try Profile(yaml: Fixture.yaml(line + "\n", ""), file: "sample.yaml") }
        #expect(text.hasSuffix("\(key): is missing; add it, for nothing has a default"))
        #expect(text.hasPrefix("sample.yaml:"))
    }

    private func expect(_ mistake: Mistake) {
        let yaml = Fixture.yaml(mistake.piece, mistake.replacement)
        #expect(refusal { try Profile(yaml: yaml, file: "sample.yaml") } == mistake.error)
    }
}
