// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@Suite("Being killed", .ownDaemon, .root, .alone, .serialized)
struct CrashTests {
    @Test("the detector of these tests sees what a living daemon has")
    func detector() throws {
        let daemon = try TestDaemon()
        let mark = Sandboxes.mark()
        let live = try daemon.api.start(.shell("echo up; sleep 60", ["env": ["M": .string(mark)]]))
        try live.waits(for: "up")
        let family = ProcessTable().descendants(of: daemon.pid)
        let left = daemon.leftovers(of: family)
        // Launcher, janitor, init and job; its cgroups; its socket.
        #expect(left.count > 5, "\(left)")
        #expect(!Sandboxes.processes(marked: mark).isEmpty)
        // What is in a container is nobody's descendant here; the mark finds it there.
        if Host.engineSocket == nil {
            let own = ProcessTable.namespaces(getpid()).count
            #expect(HostView.namespaces(of: daemon.pid).count > own)
            #expect(!HostView.jobs(of: daemon.pid).isEmpty)
        }
        live.cancel()
        daemon.stop()
    }

    @Test("killed at any moment under load, the daemon leaves nothing a second later")
    func daemon() throws {
        let directory = try Installation.shared.get().makeDirectory()
        let mounts = ProcessTable.read("/proc/self/mountinfo")
        let own = ProcessTable.namespaces(getpid())
        var slowest = 0
        for round in 1...Host.kills {
            let daemon = try TestDaemon(directory: directory)
            let load = Load(daemon.api)
            load.start()
            // A random moment is what this is about.
            usleep(UInt32.random(in: 5_000...400_000))
            let family = ProcessTable().descendants(of: daemon.pid)
            let namespaces = HostView.namespaces(of: daemon.pid).subtracting(own)
            let began = Host.milliseconds
            daemon.kill9()
            func left() -> [String] {
                daemon.leftovers(of: family)
                    + Sandboxes.processes(marked: load.mark).map { "process \($0) of a job" }
                    + HostView.jobs(of: daemon.pid).map { "process \($0.pid) \($0.name)" }
            }
            let isGone = Host.waits(upTo: .seconds(1)) { left().isEmpty }
            slowest = max(slowest, Host.milliseconds - began)
            try #require(isGone, "round \(round): \(left())")
            let held = namespaces.intersection(HostView.namespacesOfStrangers())
            #expect(held.isEmpty, "round \(round): \(held)")
            let files = Set(ProcessTable.names(daemon.state))
                .subtracting(["lock", "artifacts", "attempts"])
                // What a container was given stays until the next start's sweep.
                .subtracting(Host.engineSocket == nil ? [] : ["node", "containers"])
            #expect(files.isEmpty, "round \(round): \(files)")
            let records = ProcessTable.names(daemon.state + "/attempts")
            #expect(records.isEmpty, "round \(round): \(records)")
            load.join()
        }
        #expect(ProcessTable.read("/proc/self/mountinfo") == mounts)
        let last = try TestDaemon(directory: directory)
        #expect(try last.api.run(Run(["true"])).verdict == "ok")
        if Host.engineSocket != nil {
            // The engine itself is asked: the dead daemons' containers are removed, not only ended.
            // As many as there are take their time: each look must find fewer.
            var left = try last.containers().count
            while left > 0 {
                let areFewer = try Host.waits(upTo: .seconds(60)) {
                    try last.containers().count < left
                }
                try #require(areFewer, "\((try? last.containers()) ?? [])")
                left = try last.containers().count
            }
        }
        last.stop()
        print("killed \(Host.kills) times; the slowest was gone after \(slowest) ms")
    }

    /// What one of a run's processes is hit with, and what must come of the run.
    struct Blow: Sendable, CustomTestStringConvertible {
        enum Target { case launcher, sandboxInit, job }

        let fact: String
        let target: Target
        let signal: Int32
        let verdicts: Set<String>
        var testDescription: String { fact }

        static let all: [Blow] = [
            Blow(
                fact: "the launcher is killed",
                target: .launcher,
                signal: SIGKILL,
                verdicts: ["engine_error"]
            ),
            Blow(
                fact: "the sandbox's init is killed",
                target: .sandboxInit,
                signal: SIGKILL,
                verdicts: ["engine_error"]
            ),
            Blow(
                fact: "the sandbox's init is stopped",
                target: .sandboxInit,
                signal: SIGSTOP,
                verdicts: ["engine_error"]
            ),
            Blow(fact: "the job is killed", target: .job, signal: SIGKILL, verdicts: ["signal"]),
            Blow(
                fact: "the job is stopped",
                target: .job,
                signal: SIGSTOP,
                verdicts: ["wall_time"]
            ),
        ]
    }

    @Test(
        "what hits one run from outside ends that run, and the daemon goes on",
        arguments: Blow.all
    )
    func blow(_ blow: Blow) throws {
        let daemon = try TestDaemon()
        let mark = Sandboxes.mark()
        let run = Run.shell("echo up; exec sleep 60", ["env": ["MARK": .string(mark)]])
        let limit = JSON.number(1500 * Double(Host.slowness))
        let live = try daemon.api.start(run.limited(["wall_time_ms": limit]))
        try live.waits(for: "up")
        var jobs: [pid_t] = []
        // While it executes another program, nobody sees its environment.
        _ = Host.waits(upTo: .seconds(5)) {
            jobs = Sandboxes.processes(marked: mark)
            return !jobs.isEmpty
        }
        let job = try #require(jobs.first)
        let sandboxInit = try #require(ProcessTable.entry(job)?.parent)
        let launcher = try #require(ProcessTable.entry(sandboxInit)?.parent)
        try #require(launcher != daemon.pid && ProcessTable.entry(launcher)?.parent != 1)
        let target =
            switch blow.target {
            case .job: job
            case .sandboxInit: sandboxInit
            case .launcher: launcher
            }
        kill(target, blow.signal)
        let report = try live.report()
        #expect(blow.verdicts.contains(report.verdict), "\(report.json)")
        #expect(report.isClean, "\(report.json["receipt"] ?? .null)")
        #expect(Sandboxes.processes(marked: mark).isEmpty)
        // A run that begins in the moment of the launcher's death may meet it, too.
        let goesOn = try Host.waits(upTo: .seconds(2)) {
            try daemon.api.run(Run(["true"])).verdict == "ok"
        }
        #expect(goesOn)
        daemon.stop()
    }

    @Test("without its janitor the daemon goes on, and still stops in order")
    func janitor() throws {
        let daemon = try TestDaemon()
        kill(daemon.janitor, SIGKILL)
        #expect(try daemon.api.run(Run(["true"])).verdict == "ok")
        daemon.stop()
    }

    @Test("what a killed daemon and its killed janitor left, the next start sweeps")
    func sweep() throws {
        let first = try TestDaemon()
        let live = try first.api.start(.shell("echo up; sleep 60"))
        try live.waits(for: "up")
        kill(first.janitor, SIGKILL)
        first.kill9()
        #expect(!first.cells.isEmpty, "nothing was left to sweep")
        let second = try TestDaemon(directory: first.directory)
        #expect(second.cgroups == first.cgroups)
        #expect(second.isAtRest)
        #expect(try second.api.run(Run(["true"])).verdict == "ok")
        second.stop()
    }
}

/// Callers that keep a daemon busy until it is gone, each on a thread of its own.
private final class Load: @unchecked Sendable {
    // SAFETY: the threads share only what is never changed, and a counter behind a lock.

    let mark = Sandboxes.mark()
    private static let callers = 6
    private let api: API
    private let done = DispatchGroup()

    init(_ api: API) {
        self.api = api
    }

    func start() {
        for caller in 0..<Self.callers {
            done.enter()
            Thread { [self] in
                defer { done.leave() }
                // Until the daemon is gone, which ends the connection.
                while (try? api.post(body(caller))) != nil {}
            }.start()
        }
    }

    /// Waits until every caller has noticed.
    func join() { done.wait() }

    private func body(_ caller: Int) throws -> [UInt8] {
        let scripts = [
            "true", "sleep 0.05", "for i in 1 2 3 4 5; do sleep 30 & done; exit 1",
            "head -c 3000000 /dev/zero; echo x > out/x", "(setsid sleep 30 &); cat", "sleep 30",
        ]
        let run = Run.shell(
            scripts[caller % scripts.count],
            ["env": ["MARK": .string(mark)], "stdin": "abc"]
        )
        return try run.limited(["memory_bytes": 67_108_864]).json.bytes
    }
}
