// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// Names are resolved by this host's resolver; here it asks a server of the test's own. What stands for
/// the public Internet is 127.0.0.1, by the operator's word.
@Suite("Names that a job reaches", .ownDaemon, .nameServer, .beside)
struct NameServerTests {
    private struct Scene {
        let names: NameServer
        let server: WebServer
        let daemon: TestDaemon

        init(_ table: [String: [String]], search: String? = nil, patience: Int = 10) throws {
            names = try NameServer(table, search: search, patience: patience)
            server = try WebServer()
            let profiles = try NetworkProfile.make(
                """
                network:
                  allow: ["*:\(server.port)"]
                  ask: []
                  bytes: 4MiB
                """
            )
            daemon = try TestDaemon(
                ["--profiles", profiles, "--egress-to", "127.0.0.1"],
                nameServer: names
            )
        }

        /// Runs a program that has a function `get`, which answers status and text.
        func run(_ program: String) throws -> Report {
            try daemon.api.run(Run(["python3", "-c", tools + program], profile: "net"))
        }

        var tools: String {
            """
            import sys, urllib.error, urllib.request
            def get(host):
                try:
                    with urllib.request.urlopen(f'http://{host}:\(server.port)/', timeout=30) as answer:
                        return answer.status, answer.read().decode()
                except urllib.error.HTTPError as error:
                    return error.code, error.read().decode()

            """
        }
    }

    @Test("a name is looked up whole, whatever the host's search list would make of it")
    func searchList() throws {
        let scene = try Scene(
            ["api.test": ["127.0.0.1"], "api.test.corp.test": ["10.0.0.1"]],
            search: "corp.test"
        )
        let report = try scene.run("print(*get('api.test'))")
        #expect(report.text.hasPrefix("200 "), "\(report.json)")
        #expect(scene.names.asked == ["api.test"])
        scene.daemon.stop()
    }

    @Test("a name that moves inside is looked up once for a connection, and refused from then on")
    func rebinding() throws {
        let scene = try Scene([
            "moves.test": ["127.0.0.1", "10.0.0.1"],
            "both.test": ["127.0.0.1,10.0.0.1"],
            "alias.test": ["inside.test"], "inside.test": ["169.254.169.254"],
        ])
        let report = try scene.run(
            """
            for host in ['moves.test', 'moves.test', 'both.test', 'alias.test', 'inside.test']:
                print(host, *get(host))
            """
        )
        let lines = report.text.split(separator: "\n")
        try #require(lines.count == 5, "\(report.json)")
        #expect(lines[0].hasPrefix("moves.test 200 host moves.test:"), "\(lines[0])")
        #expect(lines[1].hasPrefix("moves.test 403") && lines[1].contains("10.0.0.1, which is"))
        #expect(lines[2].hasPrefix("both.test 403") && lines[2].contains("10.0.0.1, which is"))
        for line in lines[3...] {
            #expect(line.contains(" 403 ") && line.contains("169.254.169.254, which is"), "\(line)")
        }
        #expect(
            scene.names.asked
                == ["moves.test", "moves.test", "both.test", "alias.test", "inside.test"]
        )
        scene.daemon.stop()
    }

    @Test("a name server that is killed, or does not answer, fails its names and nothing else")
    func killed() throws {
        let scene = try Scene(["there.test": ["127.0.0.1"]], patience: 1)
        let live = try LiveRun(
            streaming: scene.daemon.api,
            Run(
                [
                    "python3", "-c",
                    scene.tools + "for line in sys.stdin: print(*get(line.strip()), flush=True)",
                ],
                profile: "net",
                ["stdin_stream": true]
            )
        )
        try live.feed("there.test\n")
        try live.waits(for: "200 host there.test")
        try live.feed("silent.test\n")
        try live.waits(for: "silent.test cannot be resolved")
        scene.names.kill()
        try live.feed("there.test\n")
        try live.waits(for: "there.test cannot be resolved")
        try scene.names.restart()
        try live.feed("there.test\n")
        try live.endInput()
        let report = try live.report()
        #expect(report.verdict == "ok", "\(report.json)")
        let text = String(decoding: live.output["stdout"] ?? [], as: UTF8.self)
        let codes = text.split(separator: "\n").filter { $0.first?.isNumber == true }
            .map { $0.prefix(3) }
        #expect(codes == ["200", "502", "502", "200"], "\(text)")
        scene.daemon.stop()
    }
}
