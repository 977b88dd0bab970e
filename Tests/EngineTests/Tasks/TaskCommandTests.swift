// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// A command line that is refused, and in which words.
struct Refusal: Sendable, CustomTestStringConvertible {
    let fact: String
    /// After `sandboxd`.
    let arguments: [String]
    var exitCode: Int32 = 125
    /// What standard error must hold.
    let says: String

    var testDescription: String { fact }

    static let all: [Refusal] = [
        Refusal(fact: "no command", arguments: ["submit"], exitCode: 64, says: "say what to run"),
        Refusal(
            fact: "a timeout of nothing",
            arguments: ["submit", "--timeout", "0", "--", "true"],
            exitCode: 64,
            says: "--timeout"
        ),
        Refusal(
            fact: "both times",
            arguments: ["submit", "--run-at", "x", "--delay", "1", "--", "true"],
            exitCode: 64,
            says: "--delay"
        ),
        Refusal(
            fact: "a time that is none",
            arguments: ["submit", "--run-at", "soonish", "--", "true"],
            says: "no time"
        ),
        Refusal(
            fact: "a file that is not there",
            arguments: ["submit", "--file", "/no/such", "--", "true"],
            says: "/no/such"
        ),
        Refusal(
            fact: "an unknown profile",
            arguments: ["submit", "--profile", "nosuch", "--", "true"],
            says: "no profile 'nosuch'"
        ),
        Refusal(
            fact: "an unknown budget",
            arguments: ["submit", "--budget", "nosuch", "--", "true"],
            says: "no budget 'nosuch'"
        ),
        Refusal(
            fact: "a run of an unknown budget",
            arguments: ["run", "--budget", "nosuch", "--", "true"],
            says: "no budget 'nosuch'"
        ),
        Refusal(
            fact: "a batch with a command",
            arguments: ["submit", "--batch", "-", "--", "true"],
            exitCode: 64,
            says: "--batch"
        ),
        Refusal(
            fact: "a batch without a task",
            arguments: ["submit", "--batch", "/dev/null"],
            exitCode: 64,
            says: "no task"
        ),
        Refusal(
            fact: "a batch that is no JSON",
            arguments: ["submit", "--batch", "/etc/passwd"],
            exitCode: 64,
            says: "line 1"
        ),
        Refusal(
            fact: "an unknown task",
            arguments: ["task", "999999999999"],
            says: "no task '999999999999'"
        ),
        Refusal(fact: "a task of letters", arguments: ["logs", "x"], exitCode: 64, says: "'x'"),
        Refusal(
            fact: "an unknown state",
            arguments: ["tasks", "--state", "lost"],
            says: "'lost' (known: ready"
        ),
        Refusal(
            fact: "the artifacts of an unknown task",
            arguments: ["artifacts", "999999999999"],
            says: "no task"
        ),
        Refusal(
            fact: "an unknown budget to show",
            arguments: ["budget", "show", "nosuch"],
            says: "no budget 'nosuch'"
        ),
        Refusal(
            fact: "a budget's name with a blank",
            arguments: ["budget", "set", "no such"],
            says: "letters, digits"
        ),
        Refusal(
            fact: "a cap that is no number",
            arguments: ["budget", "set", "b", "--money", "1,5"],
            exitCode: 64,
            says: "--money '1,5'"
        ),
        Refusal(
            fact: "half a run",
            arguments: ["budget", "set", "b", "--runs", "0.5"],
            exitCode: 64,
            says: "--runs"
        ),
    ]
}

@Suite("The command line for tasks", .daemon, .ownDaemon, .beside)
struct TaskCommandTests {
    private func sandboxd(
        _ arguments: [String],
        stdin: String = "/dev/null",
        socket: String? = nil
    ) throws -> Program.Ending {
        let program = try Installation.shared.get().program("sandboxd")
        return try Program.run(
            [program] + arguments,
            environment: ["SANDBOXD_SOCKET": try #require(socket ?? Host.socket)],
            stdin: stdin
        )
    }

    /// Submits one task and answers its number, as it was printed.
    private func submit(_ arguments: [String], socket: String? = nil) throws -> String {
        let ending = try sandboxd(["submit"] + arguments, socket: socket)
        try #require(ending.exitCode == 0, "\(ending.errorText)")
        let id = ending.text.trimmingCharacters(in: .newlines)
        try #require(Int(id) != nil, "\(ending.text)")
        return id
    }

    private func json(_ arguments: [String], socket: String? = nil) throws -> JSON {
        let ending = try sandboxd(arguments + ["--json"], socket: socket)
        try #require(ending.exitCode == 0, "\(ending.errorText)")
        return try JSON(ending.stdout)
    }

    @Test("what makes no sense is refused, and it says why", arguments: Refusal.all)
    func refusal(_ refusal: Refusal) throws {
        let ending = try sandboxd(refusal.arguments)
        #expect(ending.exitCode == refusal.exitCode, "\(ending.errorText)")
        #expect(ending.errorText.contains(refusal.says), "\(ending.errorText)")
        #expect(ending.text.isEmpty)
    }

    @Test("a task is submitted, followed, shown and listed")
    func life() throws {
        let id = try submit(["--env", "A=b=c", "--", "sh", "-c", "echo $A; echo e >&2; exit 4"])
        let logs = try sandboxd(["logs", "-f", id])
        #expect(logs.exitCode == 0)
        #expect(logs.text == "b=c\n" && logs.errorText == "e\n")
        let task = try json(["task", id])
        #expect(task["state"] == "failed" && task["exit_code"] == 4)
        let prose = try sandboxd(["task", id]).text
        for words in ["task \(id): failed (exit 4)", "attempt 1: exit 4", "charged", "clean:"] {
            #expect(prose.contains(words), "\(prose)")
        }
        let list = try json(["tasks", "--all"])
        let ids = try #require(list["tasks"]).elements.compactMap { $0["task_id"]?.int }
        #expect(ids.map(String.init).contains(id))
        #expect(ids == ids.sorted(by: >) && Set(ids).count == ids.count)
        #expect(list["next"] == .null)
        let lines = try sandboxd(["tasks", "--limit", "1"]).text.split(separator: "\n")
        #expect(lines.count == 2 && lines[0].hasPrefix("ID"))
    }

    @Test("what a task writes is seen while it runs, and once")
    func live() throws {
        let id = try submit(["--", "sh", "-c", "echo first; sleep 60; echo last"])
        let installation = try Installation.shared.get()
        let logs = try Program(
            [installation.program("sandboxd"), "logs", "-f", id],
            environment: ["SANDBOXD_SOCKET": try #require(Host.socket)]
        )
        #expect(
            Host.waits(upTo: .seconds(20)) {
                logs.outputSoFar == Array("first\n".utf8)
            }
        )
        #expect(try json(["task", id])["state"] == "running")
        _ = try sandboxd(["cancel", id])
        #expect(logs.ending().text == "first\n")
    }

    @Test(
        "--wait prints the output and exits as the task did",
        arguments: [
            (["sh", "-c", "echo out; exit 7"], 7, "out\n"), (["no-such-program"], 127, ""),
            (["sh", "-c", "kill -TERM $$"], 143, ""),
        ] as [([String], Int32, String)]
    )
    func wait(_ command: [String], _ exitCode: Int32, _ output: String) throws {
        let ending = try sandboxd(["submit", "--wait", "--"] + command)
        #expect(ending.exitCode == exitCode, "\(ending.errorText)")
        #expect(ending.text == output)
    }

    @Test("bytes that are no text pass unchanged, in and out")
    func binary() throws {
        let script = "import os; os.write(1, os.read(0, 9) + bytes(range(256)))"
        let place = try Installation.shared.get().makeDirectory() + "/in"
        try Data([0, 255, 10]).write(to: URL(filePath: place))
        let ending = try sandboxd(
            ["submit", "--stdin", "--wait", "--", "python3", "-c", script],
            stdin: place
        )
        #expect(ending.stdout == [0, 255, 10] + (0...255).map { UInt8($0) })
    }

    @Test("a key submitted twice is one task, and with another command it is refused")
    func key() throws {
        let key = Host.unique("key")
        let id = try submit(["--key", key, "--", "echo", "one"])
        #expect(try submit(["--key", key, "--", "echo", "one"]) == id)
        let other = try sandboxd(["submit", "--key", key, "--", "echo", "two"])
        #expect(other.exitCode == 125)
        #expect(other.errorText.contains("belongs to task \(id)"), "\(other.errorText)")
    }

    @Test(
        "a batch of lines or a list is submitted, however long",
        arguments: [("", "\n", "\n"), ("[", ",", "]")]
    )
    func batch(_ start: String, _ between: String, _ end: String) throws {
        let budget = Host.unique("batch")
        // Paused, so that these tasks are in nobody's way.
        #expect(try sandboxd(["budget", "set", budget, "--pause"]).exitCode == 0)
        let tasks = (0..<1200).map { #"{"argv": ["echo", "\#($0)"]}"# }
        let place = try Installation.shared.get().makeDirectory() + "/batch"
        try Data((start + tasks.joined(separator: between) + end).utf8)
            .write(to: URL(filePath: place))
        let ending = try sandboxd(
            ["submit", "--budget", budget, "--batch", "-"],
            stdin: place
        )
        #expect(ending.exitCode == 0, "\(ending.errorText)")
        let ids = ending.text.split(separator: "\n").map(String.init)
        #expect(Set(ids).count == 1200)
        let last = try json(["task", try #require(ids.last)])
        #expect(last["spec"]?["argv"] == ["echo", "1199"])
        #expect(last["budget"] == .string(budget) && last["profile"] == "code")
    }

    @Test("a task that waits can be cancelled and brought back")
    func cancelAndRetry() throws {
        let id = try submit(["--delay", "3600", "--", "echo", "late"])
        #expect(try sandboxd(["logs", id]).errorText.contains("it is delayed"))
        let cancelled = try sandboxd(["cancel", id, "999999999999"])
        #expect(cancelled.exitCode == 125)
        #expect(cancelled.text == "task \(id): cancelled\n")
        #expect(cancelled.errorText.contains("no task '999999999999'"))
        let waited = try sandboxd(["logs", "-f", id])
        #expect(waited.exitCode == 125 && waited.errorText.contains("never ran"))
        #expect(try sandboxd(["retry", id]).text == "task \(id): ready\n")
        #expect(try sandboxd(["logs", "-f", id]).text == "late\n")
        let again = try sandboxd(["retry", id])
        #expect(again.exitCode == 125)
        #expect(again.errorText.contains("stays as it is"), "\(again.errorText)")
    }

    @Test("artifacts are listed, and saved whatever their names, following no link")
    func artifacts() throws {
        let script = """
            cd out; mkdir d; printf 1 > d/a; printf 2 > 'new
            line'; printf 3 > link; ln -s /etc/shadow evil
            """
        let id = try submit(["--", "sh", "-c", script])
        #expect(try sandboxd(["logs", "-f", id]).exitCode == 0)
        let table = try sandboxd(["artifacts", id]).text
        #expect(table.contains("new\\u{a}line") && table.contains("not kept: symlink"))
        #expect(try json(["artifacts", id])["artifacts"]?.elements.count == 3)

        let place = try Installation.shared.get().makeDirectory()
        symlink("/etc/passwd", place + "/link")
        let ending = try sandboxd(["artifacts", id, "--out", place])
        #expect(ending.exitCode == 0, "\(ending.errorText)")
        #expect(ending.errorText.contains("evil (symlink)"))
        #expect(try String(contentsOfFile: place + "/d/a", encoding: .utf8) == "1")
        #expect(try String(contentsOfFile: place + "/new\nline", encoding: .utf8) == "2")
        #expect(try String(contentsOfFile: place + "/link", encoding: .utf8) == "3")
        #expect(try !String(contentsOfFile: "/etc/passwd", encoding: .utf8).isEmpty)
    }

    @Test("a budget is set in the units that people use, and only what is named changes")
    func budget() throws {
        let name = Host.unique("budget")
        let set = ["budget", "set", name]
        let made = try json(
            set + [
                "--period", "day", "--cpu-seconds", "1.5", "--memory-gib-s", "0.5",
                "--wall-seconds", "600", "--runs", "7", "--egress", "2K", "--money", "1.5",
                "--price-cpu-s", "0.000000012", "--on-exhausted", "reject",
            ]
        )
        let caps = [
            "cpu_ms": 1500, "memory_mib_s": 512, "wall_ms": 600_000, "runs": 7,
            "egress_bytes": 2048, "money_nanos": 1_500_000_000,
        ]
        for (unit, cap) in caps { #expect(made["units"]?[unit]?["cap"]?.int == cap, "\(unit)") }
        #expect(made["prices"]?["cpu_s"] == 12)
        #expect(made["period"] == "day" && made["on_exhausted"] == "reject")

        let changed = try json(set + ["--runs", "none", "--pause"])
        #expect(changed["units"]?["runs"]?["cap"] == .null && changed["paused"] == true)
        #expect(changed["units"]?["money_nanos"]?["cap"] == 1_500_000_000)
        let shown = try sandboxd(["budget", "show", name]).text
        #expect(shown.contains("0.000000012 a CPU second"), "\(shown)")
        #expect(try sandboxd(["budget", "ls"]).text.contains(name))
    }

    @Test("a run is paid for by its --budget, and one of a known --key is not done again")
    func directRun() throws {
        let name = Host.unique("runs")
        #expect(try sandboxd(["budget", "set", name]).exitCode == 0)
        let run = ["run", "--budget", name, "--key", name, "--", "sh", "-c", "date +%N; exit 3"]
        let first = try sandboxd(run)
        let second = try sandboxd(run)
        #expect(first.exitCode == 3 && second.exitCode == 3, "\(second.errorText)")
        #expect(!first.text.isEmpty && first.text == second.text)
        #expect(try json(["budget", "show", name])["units"]?["runs"]?["used"] == 1)
    }

    @Test("a node that is drained takes no task until it is told to")
    func drain() throws {
        let daemon = try TestDaemon(["--database", "embedded"])
        let socket = daemon.socket
        try daemon.api.waitUntilQueueIsReady()
        #expect(try sandboxd(["drain"], socket: socket).exitCode == 0)
        let id = try submit(["--", "echo", "late"], socket: socket)
        #expect(try json(["task", id], socket: socket)["state"] == "ready")
        #expect(try json(["drain", "--off"], socket: socket)["draining"] == false)
        #expect(try sandboxd(["logs", "-f", id], socket: socket).text == "late\n")
        daemon.stop()
    }

    @Test("who follows a task when its daemon dies hears that the task is kept")
    func unfollowed() throws {
        let daemon = try TestDaemon(["--database", "embedded"])
        try daemon.api.waitUntilQueueIsReady()
        let id = try submit(["--delay", "3600", "--", "true"], socket: daemon.socket)
        let follower = try Program(
            [try Installation.shared.get().program("sandboxd"), "submit", "--wait", "--delay"]
                + ["3600", "--", "true"],
            environment: ["SANDBOXD_SOCKET": daemon.socket]
        )
        let next = "\((Int(id) ?? 0) + 1)"
        #expect(Host.waits(upTo: .seconds(20)) { follower.errorsSoFar.contains("task \(next)") })
        daemon.kill9()
        let ending = follower.ending(within: .seconds(20))
        #expect(ending.exitCode == 125)
        #expect(ending.errorText.contains("task \(next) is kept"), "\(ending.errorText)")
    }
}
