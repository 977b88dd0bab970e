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
        _ = Host.waits(upTo: .seconds(30 * Host.slowness)) {
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
}
