// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@Suite("A command that a canary leaves on the host", .ownDaemon, .beside)
struct HostSideTests {
    /// Runs `sandboxd run` outside of its canary, beside no daemon at all.
    private func outside(
        _ command: [String],
        canary: [String] = ["--canary", "0", "--task-id", "one"],
        environment: [String: String] = [:],
        directory: String? = nil,
        stdin: String = "/dev/null"
    ) throws -> Program.Ending {
        let program = try Installation.shared.get().program("sandboxd")
        return try Program(
            [program, "run"] + canary + ["--"] + command,
            environment: ["SANDBOXD_SOCKET": "/nobody/listens"].merging(environment) { $1 },
            directory: directory,
            stdin: stdin
        ).ending()
    }

    @Test("it has its own output, and its own exit code", arguments: [0, 1, 7, 125, 255])
    func exitCode(_ code: Int32) throws {
        let ending = try outside(["sh", "-c", "echo out; echo err >&2; exit \(code)"])
        #expect(ending.exitCode == code)
        #expect(ending.text == "out\n" && ending.errorText == "err\n")
    }

    @Test("a signal that kills it is seen as its own", arguments: [SIGTERM, SIGKILL, SIGPIPE])
    func signal(_ number: Int32) throws {
        let ending = try outside(["sh", "-c", "kill -\(number) $$"])
        #expect(ending.signal == number)
    }

    @Test("it is the same process, with its environment, directory, input and signals as they were")
    func unchanged() throws {
        let place = try Installation.shared.get().makeDirectory()
        try Data("typed\n".utf8).write(to: URL(filePath: place + "/in"))
        let script = """
            echo $A; pwd; cat; readlink /proc/$$/exe >&2
            grep -E '^Sig(Ign|Blk|Cgt)' /proc/self/status | tr -d '\\n'; ls /proc/self/fd | wc -w
            """
        let command = ["sh", "-c", script]
        let environment = ["A": "b=c\u{e9}"]
        let (input, socket) = (place + "/in", ["SANDBOXD_SOCKET": "/nobody/listens"])
        let bare = try Program(
            command,
            environment: environment.merging(socket) { $1 },
            directory: place,
            stdin: input
        ).ending()
        let ours = try outside(
            command,
            environment: environment,
            directory: place,
            stdin: input
        )
        #expect(bare.exitCode == 0 && bare.text.contains("typed"))
        #expect(ours.text == bare.text && ours.errorText == bare.errorText)
    }

    @Test("bytes that are no text reach it as they are")
    func bytes() throws {
        // The shell makes the argument, for a String cannot hold it.
        let program = try Installation.shared.get().program("sandboxd")
        let script =
            "exec '\(program)' run --canary 0 --task-id x -- printf %s \"$(printf 'a\\377b')\""
        let ending = try Program.run(["sh", "-c", script])
        #expect(ending.stdout == [0x61, 0xff, 0x62], "\(ending.errorText)")
    }

    @Test(
        "one that cannot be executed is said as env(1) does",
        arguments: [
            ("no-such-program", 127), ("/tmp", 126),
        ] as [(String, Int32)]
    )
    func missing(_ program: String, _ code: Int32) throws {
        let ending = try outside([program])
        #expect(ending.exitCode == code)
        #expect(ending.errorText.contains("cannot run '\(program)' on this host"))
    }

    @Test(
        "what makes no sense is refused before anything runs",
        arguments: [
            (["--canary", "10"], "--task-id"), (["--canary", "101", "--task-id", "x"], "'101'"),
            (["--canary", "-1", "--task-id", "x"], "--canary"),
            (["--canary", "ten", "--task-id", "x"], "'ten'"),
            (["--canary", "10", "--task-id", ""], "empty"),
            (["--canary", "10", "--task-id", String(repeating: "x", count: 100_000)], "1024 fit"),
            // What cannot be known goes nowhere.
            (["--canary", "stored", "--task-id", "x"], "nothing was run"),
        ] as [([String], String)]
    )
    func refused(_ canary: [String], _ words: String) throws {
        let ending = try outside(["echo", "it ran"], canary: canary)
        #expect(ending.exitCode != 0 && ending.text.isEmpty)
        #expect(ending.errorText.contains(words), "\(ending.errorText)")
    }

    // MARK: Shadows

    private let shadow = ["--shadow", "--task-id", "one"]

    @Test("with a shadow and no daemon its result is its own, and the miss is counted")
    func missed() throws {
        let place = try Installation.shared.get().makeDirectory()
        let ending = try outside(
            ["sh", "-c", "echo out; echo err >&2; exit 7"],
            canary: shadow,
            environment: ["XDG_STATE_HOME": place + "/a/b"]
        )
        #expect(ending.exitCode == 7)
        #expect(ending.text == "out\n" && ending.errorText == "err\n")
        let misses = place + "/a/b/sandboxd/missed-shadows"
        let isCounted = Host.waits(upTo: .seconds(20)) {
            (try? String(contentsOfFile: misses, encoding: .utf8)) == "code\n"
        }
        #expect(isCounted)
    }

    @Test(
        "with a shadow a signal is handed on, and its death is repeated",
        arguments: [
            SIGTERM, SIGUSR1, SIGHUP,
        ]
    )
    func handedOn(_ number: Int32) throws {
        let program = try Installation.shared.get().program("sandboxd")
        let running = try Program(
            [program, "run"] + shadow + ["--", "sh", "-c", "echo up; exec sleep 60"],
            environment: ["SANDBOXD_SOCKET": "/nobody/listens", "XDG_STATE_HOME": "/nowhere"]
        )
        let child = try #require(sleepers(of: running).first)
        kill(running.pid, number)
        #expect(running.ending(within: .seconds(20)).signal == number)
        #expect(Host.waits(upTo: .seconds(5)) { kill(child.pid, 0) != 0 })
    }

    /// Those that a program's job has become, as soon as there is one.
    private func sleepers(of running: Program) -> [ProcessTable.Entry] {
        var found: [ProcessTable.Entry] = []
        _ = Host.waits(upTo: .seconds(20)) {
            found = ProcessTable().descendants(of: running.pid).filter {
                ProcessTable.arguments($0.pid).first == "sleep"
            }
            return !found.isEmpty
        }
        return found
    }

    @Test("with a shadow it dies with the process that stands for it")
    func killed() throws {
        let program = try Installation.shared.get().program("sandboxd")
        let running = try Program(
            [program, "run"] + shadow + ["--", "sh", "-c", "echo up; exec sleep 60"],
            environment: ["SANDBOXD_SOCKET": "/nobody/listens", "XDG_STATE_HOME": "/nowhere"]
        )
        let children = sleepers(of: running)
        kill(running.pid, SIGKILL)
        _ = running.ending(within: .seconds(20))
        #expect(children.count == 1)
        let isGone = Host.waits(upTo: .seconds(5)) { children.allSatisfy { kill($0.pid, 0) != 0 } }
        #expect(isGone)
    }

    @Test("with a shadow all of a large output comes through, and what a child writes later too")
    func large() throws {
        let place = try Installation.shared.get().makeDirectory()
        let script =
            "head -c 5000000 /dev/urandom | tee \(place)/copy; (sleep 1; echo late) & exit 3"
        let program = try Installation.shared.get().program("sandboxd")
        // Through a pipe, whose reader sees the end only when the last writer is gone.
        let line = "'\(program)' run --shadow -- sh -c '\(script)' | cat > \(place)/got"
        let ending = try Program.run(
            ["sh", "-c", line],
            environment: ["SANDBOXD_SOCKET": "/nobody/listens", "XDG_STATE_HOME": place]
        )
        #expect(ending.errorText.isEmpty)
        let copy = try Data(contentsOf: URL(filePath: place + "/copy"))
        let got = try Data(contentsOf: URL(filePath: place + "/got"))
        #expect(copy.count == 5_000_000)
        #expect(got == copy + Data("late\n".utf8))
    }
}
