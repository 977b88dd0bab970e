// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// The engine itself dies, and its script starts it again, as a service manager would.
@Suite("A container engine that is killed", .containerEngine, .root, .alone, .serialized)
struct EngineKillTests {
    /// The server that listens on the engine's socket; nil while there is none.
    private static var server: pid_t? {
        guard let socket = Host.engineSocket else { return nil }
        return ProcessTable().entries.values.first { process in
            ["dockerd", "podman"].contains(process.name) && !process.isDead
                && ProcessTable.arguments(process.pid).contains { $0.hasSuffix("unix://" + socket) }
        }?.pid
    }

    /// An engine that comes back may take a call and not answer it: then another is tried soon.
    private static let patience = ["--docker-timeout", "\(10 * Host.slowness)"]

    private static func isBack(after killed: pid_t) -> Bool {
        Host.waits(upTo: .seconds(60)) {
            guard let now = server, now != killed, let socket = Host.engineSocket
            else { return false }
            return (try? API(socket: socket).answer("GET", "/_ping"))?.status == 200
        }
    }

    @Test("a job that runs when the engine dies ends by itself, and says what is left of it")
    func running() throws {
        let daemon = try TestDaemon(Self.patience)
        try daemon.waitUntilEngineIsReady()
        let mark = Sandboxes.mark()
        let live = try daemon.api.start(
            .shell("echo up; sleep 1; echo done", ["env": ["M": .string(mark)]])
        )
        try live.waits(for: "up")
        let server = try #require(Self.server)
        kill(server, SIGKILL)
        let report = try live.report()
        // Some engines take their containers with them. None makes the job look well when it is not.
        if report.verdict == "ok" {
            #expect(report.text == "up\ndone", "\(report.json)")
        } else {
            #expect(report.verdict == "engine_error", "\(report.json)")
        }
        let isDead = Host.waits(upTo: .seconds(1)) {
            Sandboxes.processes(marked: mark).isEmpty
        }
        #expect(isDead)
        #expect(Self.isBack(after: server))
        try daemon.recovers()
        daemon.stop()
    }

    @Test(
        "killed in a call, it is said by its step, and nothing stays",
        arguments: [
            ("POST", "/containers/create", "docker create"), ("POST", "/start$", "docker start"),
            ("DELETE", "/containers/", nil),
        ] as [(String, String, String?)],
        [false, true]
    )
    func inCall(_ call: (String, String, String?), _ isDone: Bool) throws {
        let (method, path, step) = call
        let directory = try Installation.shared.get().makeDirectory()
        let proxy = try FaultyEngine(in: directory, before: try #require(Host.engineSocket))
        let daemon = try TestDaemon(
            ["--docker", "unix://" + proxy.socket] + Self.patience,
            directory: directory
        )
        try daemon.waitUntilEngineIsReady()
        let server = try #require(Self.server)
        try proxy.hit(
            .init(method: method, path: path),
            with: isDone ? .killAfter(server) : .kill(server)
        )
        let report = try daemon.api.run(Run(["echo", "ran"]))
        proxy.heal()
        #expect(proxy.hits > 0)
        if let step {
            #expect(report.verdict == "engine_error", "\(report.json)")
            #expect(report.json["evidence"]?["step"]?.text == step, "\(report.json)")
        } else {
            #expect(report.verdict == "ok" && report.text == "ran", "\(report.json)")
            #expect(!report.isClean)
        }
        #expect(Self.isBack(after: server))
        try daemon.recovers()
        daemon.stop()
    }

    @Test("killed at any moment, it loses no run without a word, and nothing stays")
    func anyMoment() throws {
        let daemon = try TestDaemon(Self.patience)
        var verdicts: [String: Int] = [:]
        for round in 1...max(1, Host.kills / 25) {
            try daemon.waitUntilEngineIsReady()
            let mark = Sandboxes.mark()
            let callers = Callers(daemon.api, mark: mark)
            // A random moment is what this is about.
            usleep(UInt32.random(in: 5_000...800_000))
            let server = try #require(Self.server)
            kill(server, SIGKILL)
            for verdict in callers.join() { verdicts[verdict, default: 0] += 1 }
            let isDead = Host.waits(upTo: .seconds(1)) {
                Sandboxes.processes(marked: mark).isEmpty
            }
            #expect(isDead, "round \(round)")
            try #require(Self.isBack(after: server), "round \(round)")
        }
        #expect(Set(verdicts.keys).isSubset(of: ["ok", "engine_error", "503"]), "\(verdicts)")
        print("the engine was killed under load; runs ended \(verdicts)")
        try daemon.recovers()
        daemon.stop()
    }
}

/// Some callers, who each start a few runs one after the other.
private final class Callers: @unchecked Sendable {
    // SAFETY: the threads share only what is never changed, and the verdicts behind a lock.

    private let api: API
    private let mark: String
    private let done = DispatchGroup()
    private let lock = NSLock()
    private var verdicts: [String] = []

    init(_ api: API, mark: String) {
        self.api = api
        self.mark = mark
        for _ in 0..<3 {
            done.enter()
            Thread { [self] in
                defer { done.leave() }
                for _ in 0..<2 { add(verdict()) }
            }.start()
        }
    }

    /// Waits for all, and answers how each run ended: its verdict, or the status that refused it.
    func join() -> [String] {
        done.wait()
        return verdicts
    }

    private func verdict() -> String {
        let run = Run.shell("sleep 0.1", ["env": ["MARK": .string(mark)]])
        do {
            let answer = try api.post(try run.json.bytes)
            guard answer.status == 200 else { return "\(answer.status)" }
            return Report(json: try answer.json).verdict
        } catch {
            return "\(error)"
        }
    }

    private func add(_ verdict: String) {
        lock.lock()
        verdicts.append(verdict)
        lock.unlock()
    }
}
