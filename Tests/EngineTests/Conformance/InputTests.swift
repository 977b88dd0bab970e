// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@Suite("Input", .daemon, .beside)
struct InputTests {
    @Test("without input, standard input is at its end")
    func noInput() throws {
        let report = try Host.daemon().run(Run(["wc", "-c"]))
        #expect(report.text == "0")
    }

    @Test("text arrives as its UTF-8")
    func text() throws {
        let report = try Host.daemon().run(Run(["cat"], ["stdin": "naïve ☃\n"]))
        #expect(report.stdout == Array("naïve ☃\n".utf8))
    }

    @Test("base64 arrives as the bytes it stands for")
    func base64() throws {
        let bytes = (0...255).map { UInt8($0) }
        let text = Data(bytes).base64EncodedString()
        let report = try Host.daemon().run(Run(["cat"], ["stdin_base64": .string(text)]))
        #expect(report.stdout == bytes)
    }

    @Test("input is streamed while the run goes on, and ends when the caller ends it")
    func streamed() throws {
        let live = try LiveRun(
            streaming: Host.daemon(),
            .shell("while read l; do echo got $l; done; echo end", ["stdin_stream": true])
        )
        try live.feed("one\n")
        try live.waits(for: "got one")
        try live.feed("two\nthree\n")
        try live.waits(for: "got three")
        try live.endInput()
        let report = try live.report()
        #expect(report.text == "got one\ngot two\ngot three\nend")
        #expect(report.verdict == "ok")
    }

    @Test("input that is sent at once arrives whole, and so does its end", arguments: 0..<20)
    func sentAtOnce(round: Int) throws {
        let connection = try HTTPConnection(
            Host.daemon().socket,
            patience: .seconds(20 * Host.slowness)
        )
        try connection.begin(
            "POST",
            "/v1/runs",
            headers: ["Content-Type": "application/x-ndjson", "Accept": "application/json"]
        )
        let run = Run(["wc", "-c"], ["stdin_stream": true]).limited(["wall_time_ms": 60_000])
        let line: JSON = ["stdin": .string(Data(count: 1000).base64EncodedString())]
        // Everything before the sandbox can be there.
        try connection.chunk(try run.json.bytes + [10] + line.bytes + [10])
        try connection.chunk([])
        let report = Report(json: try connection.answer().json)
        #expect(report.text == "1000", "\(report.json)")
    }

    @Test("a large input goes through a slow reader whole")
    func large() throws {
        let text = String(repeating: "0123456789abcdef", count: 1 << 18)
        let run = Run.shell("sleep 0.2; sha256sum", ["stdin": .string(text)])
        let same = try Host.daemon().run(Run(["sha256sum"], ["stdin": .string(text)]))
        #expect(try Host.daemon().run(run).text == same.text)
    }

    @Test("a job that closes its input or never reads it ends as any other")
    func unread() throws {
        let text = JSON.string(String(repeating: "x", count: 4 << 20))
        #expect(try Host.daemon().run(Run(["true"], ["stdin": text])).verdict == "ok")
        let closing = Run.shell("exec <&-; echo on", ["stdin": text])
        #expect(try Host.daemon().run(closing).text == "on")
    }

    /// The kernel tells who waits for room in a pipe, again and again, that nobody reads any more. The
    /// daemon is the test's own, for what others use of it is counted as well.
    @Test("a job that has read all of its input and closed it costs the daemon nothing", .ownDaemon)
    func closedInput() throws {
        let daemon = try TestDaemon()
        // More than a pipe holds.
        let text = String(repeating: "x", count: 300_000)
        let script = "head -c 300000 >/dev/null; exec <&-; echo closed; sleep 1; echo slept"
        let live = try LiveRun(streaming: daemon.api, .shell(script, ["stdin_stream": true]))
        try live.feed(text)
        try live.waits(for: "closed")
        let before = try Self.processorMilliseconds(daemon.pid)
        try live.waits(for: "slept")
        let used = try Self.processorMilliseconds(daemon.pid) - before
        #expect(used < 150 * Host.slowness, "\(used) ms of a second")
        try live.endInput()
        #expect(try live.report().verdict == "ok")
        daemon.stop()
    }

    /// What a process has used of the processors (proc_pid_stat(5)).
    private static func processorMilliseconds(_ process: pid_t) throws -> Int {
        let text = try #require(ProcessTable.read("/proc/\(process)/stat"))
        let fields = text[(text.lastIndex(of: ")") ?? text.startIndex)...].split(separator: " ")
        let ticks = try #require(Int(fields[12])) + (try #require(Int(fields[13])))
        return ticks * 1000 / sysconf(Int32(_SC_CLK_TCK))
    }

    @Test("the environment is the profile's and the request's, which wins, and nothing else")
    func environment() throws {
        let run = Run(["env", "-0"], ["env": ["LANG": "C", "EXTRA": "a=b\nc", "EMPTY": ""]])
        let pairs = try Host.daemon().run(run).stdout.split(separator: 0)
            .map { String(decoding: $0, as: UTF8.self) }
        let expected: Set = [
            "PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/workspace", "TMPDIR=/workspace/.tmp",
            "LANG=C", "MPLBACKEND=Agg", "MPLCONFIGDIR=/workspace/.tmp", "OMP_NUM_THREADS=1",
            "OPENBLAS_NUM_THREADS=1", "PYTHONDONTWRITEBYTECODE=1", "PYTHONUNBUFFERED=1",
            "EXTRA=a=b\nc", "EMPTY=",
        ]
        #expect(Set(pairs) == expected)
    }

    @Test("files are there before the job's first instruction, with their modes")
    func files() throws {
        let run = Run(
            ["./run.sh"],
            [
                "files": [
                    [
                        "path": "run.sh", "text": "#!/bin/sh\ncat a/b/c; stat -c %a:%U a/b/c",
                        "mode": 493,
                    ],
                    ["path": "a/b/c", "base64": "AAH/Cg==", "mode": 384],
                ]
            ]
        )
        let report = try Host.daemon().run(run)
        #expect(report.stdout == [0, 1, 255, 10] + Array("600:job\n".utf8), "\(report.json)")
    }

    @Test(
        "a file may be called anything that is a name",
        arguments: [
            "-rf", "with space", "new\nline", "\u{1b}[31mred", "ünïcode ☃", "a'b\"c`d$e", "...",
        ]
    )
    func fileNames(name: String) throws {
        let run = Run.python(
            "import os; print(sorted(os.listdir(b'.')).__repr__())",
            ["files": [["path": .string(name), "text": "x"]]]
        )
        let listing = Run.shell(
            "ls -A | grep -c . ; cat -- \"$N\"",
            [
                "files": [["path": .string(name), "text": "content"]], "env": ["N": .string(name)],
            ]
        )
        #expect(try Host.daemon().run(run).verdict == "ok")
        #expect(try Host.daemon().run(listing).text.hasSuffix("content"))
    }

    @Test("the working directory is the workspace, or what the request says")
    func workingDirectory() throws {
        #expect(try Host.daemon().run(Run(["pwd"])).text == "/workspace")
        #expect(try Host.daemon().run(Run(["pwd"], ["cwd": "/usr/share"])).text == "/usr/share")
    }

    @Test(
        "arguments arrive as they are",
        arguments: [
            [""], ["a b", "c"], ["*", "$HOME", "`id`"], ["new\nline", "tab\t"], ["☃"],
        ]
    )
    func arguments(words: [String]) throws {
        let program = "import sys; sys.stdout.write('\\0'.join(sys.argv[1:]))"
        let report = try Host.daemon().run(Run(["python3", "-c", program] + words))
        #expect(report.stdout == Array(words.joined(separator: "\0").utf8))
    }
}
