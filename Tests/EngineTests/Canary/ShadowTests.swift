// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@Suite("A sandbox beside the host", .daemon, .ownDaemon, .beside)
struct ShadowTests {
    /// Runs a command on this host with a shadow, and waits until the daemon knows of both.
    private func shadowed(
        _ command: [String],
        _ options: [String] = [],
        directory: String? = nil,
        stdin: String = "/dev/null"
    ) throws -> (ending: Program.Ending, differences: [String]) {
        let program = try Installation.shared.get().program("sandboxd")
        let id = Host.unique("shadow")
        let ending = try Program(
            [program, "run", "--profile", "shell", "--task-id", id] + options + ["--"] + command,
            environment: [
                "SANDBOXD_SOCKET": try #require(Host.socket), "XDG_STATE_HOME": "/nowhere",
            ],
            directory: directory,
            stdin: stdin
        ).ending()
        var found: JSON?
        _ = Host.waits(upTo: .seconds(30)) {
            let answer = try? Host.daemon().answer("GET", "/v1/canaries/shell/report").json
            found = answer?["differing"]?.elements.first { $0["task"]?.text == id }
            return found != nil
        }
        return (ending, found?["differences"]?.elements.compactMap(\.text) ?? [])
    }

    @Test("what differs is told: the exit, the output, the files; the host's result is what counts")
    func differing() throws {
        let place = try Installation.shared.get().makeDirectory()
        let script = """
            if [ -d /workspace/out ]; then echo sandbox; echo 1 > out/a; exit 4
            else echo host; echo 2 > \(place)/a; echo 3 > \(place)/b; exit 3; fi
            """
        let (ending, differences) = try shadowed(
            ["sh", "-c", script],
            ["--shadow", "--out", place]
        )
        #expect(ending.exitCode == 3 && ending.text == "host\n")
        #expect(
            differences == [
                "exit: 3 on the host, 4 in the sandbox",
                "stdout: 5 bytes on the host, 8 bytes in the sandbox, not the same",
                "artifact a: not the same", "artifact b: only on the host",
            ]
        )
    }

    @Test("a run that a cap ended differs by its verdict")
    func capped() throws {
        let (ending, differences) = try shadowed(
            ["sh", "-c", "if [ -d /workspace/out ]; then while :; do :; done; fi"],
            ["--shadow", "--timeout", "0.3"]
        )
        #expect(ending.exitCode == 0)
        #expect(differences == ["exit: 0 on the host, wall_time in the sandbox"])
    }

    @Test("both have the same input, from where the file stood; what can be read once is refused")
    func input() throws {
        let place = try Installation.shared.get().makeDirectory() + "/in"
        try Data("one\ntwo\n".utf8).write(to: URL(filePath: place))
        let script = "cat; if [ -d /workspace/out ]; then exit 1; fi"
        let (ending, differences) = try shadowed(
            ["sh", "-c", script],
            ["--shadow", "--stdin"],
            stdin: place
        )
        #expect(ending.text == "one\ntwo\n")
        #expect(differences == ["exit: 0 on the host, 1 in the sandbox"])
        let program = try Installation.shared.get().program("sandboxd")
        let piped = try Program.run([
            "sh", "-c", "echo x | '\(program)' run --shadow --stdin -- cat",
        ])
        #expect(piped.exitCode == 125 && piped.text.isEmpty)
        #expect(piped.errorText.contains("cannot be read twice"))
    }

    @Test("a shadow does not take the command's key: asked for again in a sandbox, it is run")
    func key() throws {
        let command = ["sh", "-c", "date +%s%N"]
        let key = Host.unique("key")
        let (ending, _) = try shadowed(command, ["--shadow", "--key", key])
        let then = try #require(Int(ending.text.trimmingCharacters(in: .whitespacesAndNewlines)))
        // The shadow has begun when the command has ended, and has ended when both are compared.
        let between = Int(Date().timeIntervalSince1970 * 1e9)
        let run = Run(command, profile: "shell", ["key": .string(key)])
        let now = try #require(Int(try Host.daemon().run(run).text))
        #expect(then < between && between < now)
    }

    @Test(
        "two engines shadow each other: what counts is the one asked for",
        .containerEngine,
        .database
    )
    func engines() throws {
        let daemon = try TestDaemon([
            "--profiles", try Installation.shared.get().shippedProfiles,
            "--database", try TestDatabase().string, "--migrate",
        ])
        defer { daemon.stop() }
        try daemon.waitUntilEngineIsReady()
        let program = try Installation.shared.get().program("sandboxd")
        func run(_ script: String, on engine: String, beside other: String) throws -> Report {
            let ending = try Program.run(
                [
                    program, "run", "--json", "--profile", "shell", "--task-id", script,
                    "--engine", engine, "--shadow-engine", other, "--", "sh", "-c", script,
                ],
                environment: ["SANDBOXD_SOCKET": daemon.socket, "XDG_STATE_HOME": "/nowhere"]
            )
            try #require(ending.exitCode == 0, "\(ending.errorText)")
            return Report(json: try JSON(ending.stdout))
        }
        for (engine, other) in [("native", "docker"), ("docker", "native")] {
            let report = try run("echo same; echo x > out/x", on: engine, beside: other)
            #expect(report.json["engine"]?.text == engine && report.text == "same")
        }
        _ = try run("date +%s%N", on: "native", beside: "docker")
        var found = JSON.null
        let isCompared = try Host.waits(upTo: .seconds(30)) {
            found = try daemon.api.answer("GET", "/v1/canaries/shell/report").json
            return found["compared"]?.int == 3
        }
        #expect(isCompared && found["agreed"]?.int == 2, "\(found)")
        let differences = found["differing"]?.elements.first?["differences"]?.elements
            .compactMap(\.text)
        #expect(
            differences == ["stdout: 20 bytes by native, 20 bytes by docker, not the same"],
            "\(found)"
        )
    }
}
