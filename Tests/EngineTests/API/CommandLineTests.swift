// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// A command line and what must come of it.
struct Invocation: Sendable, CustomTestStringConvertible {
    let fact: String
    /// After `sandboxd run`.
    let arguments: [String]
    let exitCode: Int32
    var stdout: String?
    /// What standard error must hold.
    var says = ""

    var testDescription: String { fact }

    static let all: [Invocation] = [
        Invocation(fact: "success", arguments: ["--", "echo", "hi"], exitCode: 0, stdout: "hi\n"),
        Invocation(
            fact: "both streams",
            arguments: ["--", "sh", "-c", "echo a; echo b >&2"],
            exitCode: 0,
            stdout: "a\n",
            says: "b\n"
        ),
        Invocation(
            fact: "the job's own exit status",
            arguments: ["--", "sh", "-c", "exit 42"],
            exitCode: 42
        ),
        Invocation(
            fact: "not there is 127",
            arguments: ["--", "no-such-program"],
            exitCode: 127
        ),
        Invocation(
            fact: "not executable is 126",
            arguments: ["--", "/etc/passwd"],
            exitCode: 126
        ),
        Invocation(
            fact: "a signal is 128 and its number",
            arguments: ["--", "sh", "-c", "kill -TERM $$"],
            exitCode: 143
        ),
        Invocation(
            fact: "the deadline is 124",
            arguments: ["--timeout", "0.3", "--", "sleep", "60"],
            exitCode: 124,
            says: "wall_time"
        ),
        Invocation(
            fact: "out of memory is 137",
            arguments: ["--memory", "64M", "--", "python3", "-c", "b = bytearray(200 << 20)"],
            exitCode: 137,
            says: "oom"
        ),
        Invocation(
            fact: "an unknown profile is 125",
            arguments: ["--profile", "nosuch", "--", "true"],
            exitCode: 125,
            says: "no profile 'nosuch'"
        ),
        Invocation(fact: "no command is 125", arguments: ["--"], exitCode: 125, says: "command"),
        Invocation(
            fact: "a timeout of nothing is 125",
            arguments: ["--timeout", "0", "--", "true"],
            exitCode: 125,
            says: "--timeout"
        ),
        Invocation(
            fact: "a negative timeout is 125",
            arguments: ["--timeout=-1", "--", "true"],
            exitCode: 125,
            says: "--timeout"
        ),
        Invocation(
            fact: "memory that is no size is 125",
            arguments: ["--memory", "lots", "--", "true"],
            exitCode: 125,
            says: "--memory"
        ),
        Invocation(
            fact: "memory beyond the profile's is 125",
            arguments: ["--memory", "1T", "--", "true"],
            exitCode: 125,
            says: "memory"
        ),
        Invocation(
            fact: "a variable without a value is 125",
            arguments: ["--env", "NAME", "--", "true"],
            exitCode: 125,
            says: "NAME=VALUE"
        ),
        Invocation(
            fact: "a file that is not there is 125",
            arguments: ["--file", "/no/such", "--", "true"],
            exitCode: 125,
            says: "/no/such"
        ),
        Invocation(
            fact: "a directory as a file is 125",
            arguments: ["--file", "/etc", "--", "true"],
            exitCode: 125,
            says: "/etc"
        ),
        Invocation(
            fact: "a file for above the workspace is 125",
            arguments: ["--file", "/etc/hostname:../x", "--", "true"],
            exitCode: 125,
            says: ".."
        ),
        Invocation(
            fact: "a variable is set",
            arguments: ["--env", "A=b=c", "--", "sh", "-c", "echo $A"],
            exitCode: 0,
            stdout: "b=c\n"
        ),
        Invocation(
            fact: "a file is put into the workspace",
            arguments: ["--file", "/etc/passwd:d/p", "--", "grep", "-c", "^root", "d/p"],
            exitCode: 0,
            stdout: "1\n"
        ),
        Invocation(
            fact: "a shadow of what may be kept, as one object, is 125",
            arguments: ["--key", "k", "--shadow-engine", "docker", "--json", "--", "true"],
            exitCode: 125,
            says: "--shadow-engine with --key and --json"
        ),
        Invocation(
            fact: "an option that does not exist is refused",
            arguments: ["--nosuch", "--", "true"],
            exitCode: 64,
            says: "--nosuch"
        ),
        Invocation(
            fact: "who gives a wrong option hears where all of them are",
            arguments: ["--nosuch", "--", "true"],
            exitCode: 64,
            says: "See 'sandboxd run --help'"
        ),
    ]
}

@Suite("The command line", .daemon, .ownDaemon, .beside)
struct CommandLineTests {
    private func run(
        _ arguments: [String],
        stdin: String = "/dev/null",
        environment: [String: String] = [:]
    ) throws -> Program.Ending {
        let program = try Installation.shared.get().program("sandboxd")
        let socket = ["SANDBOXD_SOCKET": try #require(Host.socket)]
        return try Program.run(
            [program, "run"] + arguments,
            environment: socket.merging(environment) { $1 },
            stdin: stdin
        )
    }

    /// Starts one with streams of the test's own; one that hangs is ended before long.
    private func start(_ arguments: [String], _ descriptors: [Int32: Int32]) throws -> Program {
        let program = try Installation.shared.get().program("sandboxd")
        return try Program(
            [program, "run", "--timeout", "20"] + arguments,
            environment: [
                "SANDBOXD_SOCKET": try #require(Host.socket), "XDG_STATE_HOME": "/nowhere",
            ],
            descriptors: descriptors
        )
    }

    /// A pipe whose end `nonblocking` (0: to read from) never makes anybody wait.
    private func pipe(nonblocking: Int) throws -> [Int32] {
        var ends: [Int32] = [-1, -1]
        try #require(Glibc.pipe(&ends) == 0)
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        _ = fcntl(ends[nonblocking], F_SETFL, O_NONBLOCK)
        return ends
    }

    @Test("each invocation exits, prints and says as it should", arguments: Invocation.all)
    func invocation(_ invocation: Invocation) throws {
        let ending = try run(invocation.arguments)
        #expect(ending.exitCode == invocation.exitCode, "\(ending.errorText)")
        if let stdout = invocation.stdout { #expect(ending.text == stdout) }
        let isSaid = invocation.says.isEmpty || ending.errorText.contains(invocation.says)
        #expect(isSaid, "\(ending.errorText)")
        #expect(!ending.errorText.contains("Fatal error"))
    }

    @Test("--json prints one object with every key")
    func json() throws {
        let ending = try run(["--json", "--", "sh", "-c", "echo out; echo x > out/x; exit 4"])
        let report = Report(json: try JSON(ending.stdout))
        #expect(ending.exitCode == 4)
        #expect(ending.stderr.isEmpty)
        #expect(report.verdict == "exit" && report.exitCode == 4)
        #expect(report.text == "out")
        #expect(report.artifacts.count == 1)
        let keys: Set = [
            "attempt_id", "profile", "engine", "image_digest", "verdict", "exit_code", "signal",
            "evidence", "usage", "timing", "receipt", "artifacts", "stdout", "stderr",
            "stdout_truncated", "stderr_truncated", "stdout_bytes", "stdout_sha256",
            "stderr_bytes", "stderr_sha256", "calls", "calls_unrecorded",
        ]
        #expect(report.json.keys.isSuperset(of: keys))
    }

    @Test("--stdin streams standard input")
    func stdin() throws {
        let ending = try run(["--stdin", "--", "sha256sum"], stdin: "/etc/passwd")
        let direct = try Program.run(["sha256sum"], stdin: "/etc/passwd")
        #expect(ending.text == direct.text)
    }

    @Test("--stdin waits for an input that answers at once that there is nothing yet")
    func nonblockingInput() throws {
        let ends = try pipe(nonblocking: 0)
        let program = try start(["--stdin", "--", "sh", "-c", "echo up; cat"], [0: ends[0]])
        close(ends[0])
        #expect(Host.waits(upTo: .seconds(20)) { program.outputSoFar == Array("up\n".utf8) })
        write(ends[1], "late\n", 5)
        close(ends[1])
        let ending = program.ending()
        #expect(ending.exitCode == 0 && ending.text == "up\nlate\n", "\(ending.errorText)")
    }

    @Test("an input that cannot be read ends for the job, is said, and is 125")
    func brokenInput() throws {
        let arguments = ["--timeout", "20", "--stdin", "--", "sh", "-c", "cat; echo end"]
        let ending = try run(arguments, stdin: "/tmp")
        #expect(ending.exitCode == 125 && ending.text == "end\n")
        #expect(ending.errorText.contains("standard input: Is a directory"), "\(ending.errorText)")
    }

    @Test("an output that has no room for now gets all of it")
    func nonblockingOutput() throws {
        let ends = try pipe(nonblocking: 1)
        let program = try start(["--", "head", "-c", "1000000", "/dev/zero"], [1: ends[1]])
        close(ends[1])
        var waiting: Int32 = 0
        let isFull = Host.waits(upTo: .seconds(20)) {
            ioctl(ends[0], UInt(FIONREAD), &waiting) == 0 && waiting == 65536
        }
        #expect(isFull, "\(waiting)")
        let output = FileHandle(fileDescriptor: ends[0], closeOnDealloc: true)
        #expect(try output.readToEnd()?.count == 1_000_000)
        #expect(program.ending().exitCode == 0)
    }

    @Test("an output that takes nothing is said once, and is 125", arguments: [[], ["--json"]])
    func fullOutput(_ options: [String]) throws {
        let full = open("/dev/full", O_WRONLY | O_CLOEXEC)
        defer { close(full) }
        let script = "echo one; sleep 0.2; echo two; exit 3"
        let ending = try start(options + ["--", "sh", "-c", script], [1: full]).ending()
        #expect(ending.exitCode == 125)
        let said = ending.errorText.split(separator: "\n").filter { $0.contains("No space left") }
        #expect(said.count == 1, "\(ending.errorText)")
    }

    @Test("an output that is closed is said, and nothing goes to the daemon in its place")
    func closedOutput() throws {
        let program = try Installation.shared.get().program("sandboxd")
        let ending = try Program.run(
            ["sh", "-c", "exec '\(program)' run -- echo lost >&-"],
            environment: ["SANDBOXD_SOCKET": try #require(Host.socket)]
        )
        #expect(ending.exitCode == 125)
        #expect(ending.errorText.contains("standard output: Bad file descriptor"))
    }

    @Test("who closes standard error wants to hear nothing, and gets the command's own status")
    func closedErrors() throws {
        let program = try Installation.shared.get().program("sandboxd")
        let ending = try Program.run(
            ["sh", "-c", "exec '\(program)' run -- sh -c 'echo lost >&2; exit 3' 2>&-"],
            environment: ["SANDBOXD_SOCKET": try #require(Host.socket)]
        )
        #expect(ending.exitCode == 3)
    }

    @Test("a run of a known key gets no second shadow")
    func keptShadow() throws {
        let id = Host.unique("kept")
        let arguments = [
            "--profile", "shell", "--key", id, "--task-id", id, "--shadow-engine",
            Host.engine ?? "native", "--", "sh", "-c", "date +%s%N",
        ]
        let endings = try (0..<2).map { _ in try start(arguments, [:]).ending() }
        #expect(endings.allSatisfy { $0.exitCode == 0 }, "\(endings.map(\.errorText))")
        #expect(endings[0].text == endings[1].text)
        // A shadow is a process of the same words; when none is left, all has been told.
        let isQuiet = Host.waits(upTo: .seconds(30)) {
            ProcessTable().entries.keys.allSatisfy { !ProcessTable.arguments($0).contains(id) }
        }
        #expect(isQuiet)
        let report = try Host.daemon().answer("GET", "/v1/canaries/shell/report").json
        let told = report["differing"]?.elements.filter { $0["task"]?.text == id }
        #expect(told?.count == 1, "\(report)")
    }

    @Test("without --stdin standard input is not read")
    func noStdin() throws {
        let ending = try run(["--", "wc", "-c"], stdin: "/etc/passwd")
        #expect(ending.text == "0\n")
    }

    @Test("--out puts the artifacts beside you, whatever their names, and follows no link")
    func out() throws {
        let place = try Installation.shared.get().makeDirectory()
        symlink("/etc/passwd", place + "/link")
        let script = """
            cd out; mkdir d; printf 1 > d/a; printf 2 > 'new
            line'; printf 3 > link; printf 4 > "$(printf '\\377')"; ln -s /etc/shadow evil
            """
        let ending = try run(["--out", place, "--", "sh", "-c", script])
        #expect(ending.exitCode == 0, "\(ending.errorText)")
        #expect(try String(contentsOfFile: place + "/d/a", encoding: .utf8) == "1")
        #expect(try String(contentsOfFile: place + "/new\nline", encoding: .utf8) == "2")
        #expect(try String(contentsOfFile: place + "/link", encoding: .utf8) == "3")
        #expect(try !String(contentsOfFile: "/etc/passwd", encoding: .utf8).isEmpty)
        #expect(ending.errorText.contains("evil (symlink)"))
        // The invalid byte is a byte of the name, not a replacement character.
        #expect(try Program.run(["sh", "-c", "cat '\(place)'/$(printf '\\377')"]).text == "4")
    }

    @Test("binary output passes unchanged")
    func binary() throws {
        let ending = try run(["--", "python3", "-c", "import os; os.write(1, bytes(range(256)))"])
        #expect(ending.stdout == (0...255).map { UInt8($0) })
    }

    @Test("a daemon that does not run is said so, with how to start it")
    func notRunning() throws {
        let ending = try run(
            ["--", "true"],
            environment: ["SANDBOXD_SOCKET": "/tmp/no/such/daemon.sock"]
        )
        #expect(ending.exitCode == 125)
        #expect(ending.errorText.contains("/tmp/no/such/daemon.sock"))
        #expect(ending.errorText.contains("sandboxd serve"))
    }

    @Test("a socket path that is too long is said so")
    func longSocket() throws {
        let long = "/tmp/" + String(repeating: "x", count: 110)
        let ending = try run(["--socket", long, "--", "true"])
        #expect(ending.exitCode == 125)
        #expect(ending.errorText.contains("115 bytes"), "\(ending.errorText)")
        #expect(ending.errorText.contains("107"))
    }

    @Test("a file that is no socket is said so")
    func noSocket() throws {
        let ending = try run(["--socket", "/etc/passwd", "--", "true"])
        #expect(ending.exitCode == 125)
        #expect(ending.errorText.contains("/etc/passwd"))
    }

    @Test("ending the command ends the run")
    func interrupted() throws {
        let api = try Host.daemon()
        let program = try Program(
            [
                try Installation.shared.get().program("sandboxd"), "run", "--", "sh", "-c",
                "echo up; sleep 60",
            ],
            environment: ["SANDBOXD_SOCKET": api.socket]
        )
        #expect(Host.waits(upTo: .seconds(20)) { !program.outputSoFar.isEmpty })
        let before = try #require(try api.status()["finished"]?.int)
        kill(program.pid, SIGINT)
        #expect(program.ending(within: .seconds(5)).signal == SIGINT)
        let ended = try Host.waits(upTo: .seconds(5)) {
            try (api.status()["finished"]?.int ?? 0) > before
        }
        #expect(ended)
    }
}
