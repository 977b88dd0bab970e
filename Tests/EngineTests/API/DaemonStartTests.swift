// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@Suite("Starting and stopping the daemon", .ownDaemon, .beside)
struct DaemonStartTests {
    /// Starts a daemon that must refuse, and answers its words.
    private func refusal(_ options: [String], in directory: String? = nil) throws -> String {
        let place = try directory ?? Installation.shared.get().makeDirectory()
        let ending = try TestDaemon.start(options, directory: place).ending(within: .seconds(20))
        #expect(ending.exitCode == 125, "\(ending)")
        #expect(access(place + "/s", F_OK) != 0 || directory != nil)
        return ending.errorText
    }

    /// Writes a profile directory whose `code.yaml` has `wrong` for `right`.
    private func profiles(_ right: String, _ wrong: String) throws -> String {
        let installation = try Installation.shared.get()
        let place = try installation.makeDirectory() + "/profiles"
        try FileManager.default.copyItem(
            atPath: installation.profiles,
            toPath: place
        )
        let text = try String(contentsOfFile: place + "/code.yaml", encoding: .utf8)
        try #require(text.contains(right))
        try text.replacing(right, with: wrong, maxReplacements: 1)
            .write(toFile: place + "/code.yaml", atomically: true, encoding: .utf8)
        for path in [place, place + "/syscalls"] { chmod(path, 0o755) }
        chmod(place + "/code.yaml", 0o644)
        return place
    }

    @Test("it serves, and when told to stop nothing is left of it")
    func startAndStop() throws {
        let daemon = try TestDaemon()
        #expect(try daemon.api.run(Run(["true"])).verdict == "ok")
        var status = stat()
        #expect(stat(daemon.socket, &status) == 0)
        #expect(status.st_mode & 0o777 == 0o600)
        daemon.stop()
    }

    @Test("told to stop in the middle of runs, it cancels them and is gone at once")
    func stopsWhileRunning() throws {
        let daemon = try TestDaemon(["--memory", "8192"])
        let lives = try (0..<8).map { _ in try daemon.api.start(.shell("echo up; sleep 100")) }
        for live in lives { try live.waits(for: "up") }
        let began = Host.milliseconds
        daemon.stop()
        // An engine is asked to remove each.
        let most = Host.engineSocket == nil ? 5000 : 15_000
        #expect(Host.milliseconds - began < most * Host.slowness)
    }

    @Test("a second daemon on one state directory is refused")
    func second() throws {
        let daemon = try TestDaemon()
        let words = try refusal([], in: daemon.directory)
        #expect(words.contains("another daemon uses the state directory"))
        #expect(try daemon.api.answer("GET", "/healthz").status == 200)
        daemon.stop()
    }

    @Test("a socket that somebody listens on is not taken away")
    func socketInUse() throws {
        let daemon = try TestDaemon()
        #expect(try refusal(["--socket", daemon.socket]).contains("listens on"))
        #expect(try daemon.api.answer("GET", "/healthz").status == 200)
        daemon.stop()
    }

    @Test("a socket path that is too long is refused before anything is made")
    func longSocket() throws {
        let path = "/tmp/" + String(repeating: "x", count: 110)
        let words = try refusal(["--socket", path])
        #expect(words.contains("115 bytes"))
    }

    @Test("it refuses to run as root", .root)
    func asRoot() throws {
        let installation = try Installation.shared.get()
        let ending = try Program.run(
            [installation.program("sandboxd-daemon"), "--state", installation.directory + "/root"])
        #expect(ending.exitCode == 125)
        #expect(ending.errorText.contains("refuses to run as root"))
        #expect(access(installation.directory + "/root", F_OK) != 0)
    }

    @Test(
        "a profile that makes no sense is refused by file, line and key",
        arguments: [
            ("pids: 128", "pids: 0", "pids"), ("pids: 128", "pids: -5", "pids"),
            ("pids: 128", "pids: many", "pids"), ("pids: 128", "pidz: 128", "pidz"),
            ("  pids: 128", "  # gone", "pids"), ("memory: 512MiB", "memory: 512", "memory"),
            ("memory: 512MiB", "memory: unlimited", "memory"), ("name: code", "name: [", "YAML"),
        ]
    )
    func badProfile(right: String, wrong: String, key: String) throws {
        let words = try refusal(["--profiles", profiles(right, wrong)])
        #expect(words.contains("code.yaml"), "\(words)")
        #expect(words.contains(key), "\(words)")
    }

    @Test("without its init program it says which one it wants")
    func noInit() throws {
        #expect(try refusal(["--init-program", "/no/such/init"]).contains("/no/such/init"))
    }

    @Test("an image that is missing is said so by each run that needs it")
    func noImage() throws {
        let place = try Installation.shared.get().makeDirectory() + "/images"
        let daemon = try TestDaemon(["--images", place])
        let answer = try daemon.api.post(try Run(["true"]).json.bytes)
        #expect(answer.status == 503)
        let message = try answer.json["error"]?["message"]?.text ?? ""
        #expect(message.contains("code"), "\(message)")
        #expect(message.contains("sandboxd image build"), "\(message)")
        daemon.stop()
    }

    @Test("the socket of a killed daemon does not stop the next one")
    func staleSocket() throws {
        let first = try TestDaemon()
        first.kill9()
        let second = try TestDaemon(directory: first.directory)
        #expect(try second.api.run(Run(["true"])).verdict == "ok")
        second.stop()
    }

    @Test("a connection of another user is closed before it is heard", .root)
    func otherUser() throws {
        let daemon = try TestDaemon()
        // The socket's mode would stop a stranger; this shows that the daemon does, too.
        chmod(daemon.socket, 0o777)
        let ending = try Program.run(
            [
                "setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--",
                "python3", "-c",
                """
                import socket
                s = socket.socket(socket.AF_UNIX)
                s.connect('\(daemon.socket)')
                try:
                    s.send(b'GET /v1/status HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n')
                    print('heard', len(s.recv(100)))
                except OSError: print('heard 0')
                """,
            ])
        #expect(ending.text == "heard 0\n", "\(ending.errorText)")
        daemon.stop()
    }
}
