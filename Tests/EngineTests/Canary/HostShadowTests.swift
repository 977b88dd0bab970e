// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@Suite("A command that has a shadow beside it", .ownDaemon, .beside)
struct HostShadowTests {
    /// Runs lines of a shell in a new directory. `$run` stands for a run with a shadow; the daemon
    /// is at the place's `s`, when somebody listens there.
    private func shell(
        _ lines: String,
        in place: String,
        descriptors: [Int32: Int32] = [:]
    ) throws -> Program {
        let program = try Installation.shared.get().program("sandboxd")
        return try Program(
            ["sh", "-c", "run='\(program) run --shadow --task-id one --'; " + lines],
            environment: ["SANDBOXD_SOCKET": place + "/s", "XDG_STATE_HOME": place],
            directory: place,
            descriptors: descriptors
        )
    }

    private func text(_ path: String) throws -> String {
        try String(contentsOfFile: path, encoding: .utf8)
    }

    @Test("an output that takes nothing says so to the command itself")
    func device() throws {
        let full = open("/dev/full", O_WRONLY | O_CLOEXEC)
        defer { close(full) }
        let place = try Installation.shared.get().makeDirectory()
        let running = try shell(
            "exec $run sh -c 'head -c 10 /dev/zero || exit 9'",
            in: place,
            descriptors: [1: full]
        )
        let ending = running.ending()
        #expect(ending.exitCode == 9 && ending.errorText.contains("No space left"))
    }

    @Test("a file on a disk that is full says so to the command itself", .root)
    func fullDisk() throws {
        let place = try Installation.shared.get().makeDirectory()
        let running = try shell(
            """
            mkdir disk; export run
            exec unshare --mount sh -c 'mount -t tmpfs -o size=4096 none disk
                exec $run sh -c "head -c 100000 /dev/zero || exit 9" > disk/f'
            """,
            in: place
        )
        let ending = running.ending()
        #expect(ending.exitCode == 9 && ending.errorText.contains("No space left"))
    }

    @Test(
        "both streams in one place keep their order",
        arguments: ["> got 2>&1", ">> got 2>&1", "2>&1 | cat > got"]
    )
    func order(_ target: String) throws {
        let place = try Installation.shared.get().makeDirectory()
        let script = "i=0; while [ $i -lt 2000 ]; do echo o$i; echo e$i >&2; i=$((i+1)); done"
        let ending = try shell("$run sh -c '\(script)' \(target)", in: place).ending()
        #expect(ending.exitCode == 0 && ending.errorText.isEmpty)
        let wanted = (0..<2000).map { "o\($0)\ne\($0)\n" }.joined()
        #expect(try text(place + "/got") == wanted)
    }

    @Test(
        "several that write to one place keep their lines whole",
        arguments: [">> got", "| cat > got"]
    )
    func lines(_ target: String) throws {
        let place = try Installation.shared.get().makeDirectory()
        let line = String(repeating: "x", count: 96)
        let script = "i=0; while [ $i -lt 3000 ]; do echo $0\(line); i=$((i+1)); done"
        let ending = try shell(
            "for n in a b c d; do $run sh -c '\(script)' $n & done \(target); wait",
            in: place
        ).ending()
        #expect(ending.errorText.isEmpty)
        let counts = try text(place + "/got").split(separator: "\n").reduce(into: [:]) {
            $0[$1, default: 0] += 1
        }
        #expect(counts.count == 4)
        for name in ["a", "b", "c", "d"] { #expect(counts[Substring(name + line)] == 3000) }
    }

    @Test("it ends when the command ends, though something that was left running writes for ever")
    func endless() throws {
        let place = try Installation.shared.get().makeDirectory()
        let running = try shell(
            """
            script='yes & until [ -e begun ]; do sleep 0.05; done; exit 3'
            { $run sh -c "$script"; echo $? > status; } | {
                head -c 4096 > part; : > begun
                i=0; while [ $i -lt 1000 ] && ! [ -s status ]; do
                    head -c 4096 > part; i=$((i+1)); done
                cat status > seen; }
            """,
            in: place
        )
        let ending = running.ending()
        #expect(ending.exitCode == 0, "\(ending.errorText)")
        #expect(try text(place + "/seen") == "3\n")
        #expect(try text(place + "/part").hasPrefix("y\ny\n"))
    }

    @Test("a reader that has gone is seen by the command's next write", arguments: ["", "$run "])
    func reader(_ run: String) throws {
        let place = try Installation.shared.get().makeDirectory()
        // It has a second to be seen: without a shadow it is seen by the write itself.
        let script = "until [ -e gone ]; do sleep 0.05; done; sleep 1; echo a; exit 5"
        let running = try shell(
            "{ \(run)sh -c '\(script)'; echo $? > status; } | { exec < /dev/null; : > gone; }",
            in: place
        )
        #expect(running.ending().exitCode == 0)
        #expect(try text(place + "/status") == "\(128 + SIGPIPE)\n")
    }

    @Test("a signal ends it though nobody reads its output")
    func unread() throws {
        let place = try Installation.shared.get().makeDirectory()
        var ends: [Int32] = [-1, -1]
        try #require(pipe(&ends) == 0)
        defer { close(ends[0]) }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        let running = try shell("exec $run yes", in: place, descriptors: [1: ends[1]])
        close(ends[1])
        var waiting: Int32 = 0
        let isFull = Host.waits(upTo: .seconds(20)) {
            ioctl(ends[0], UInt(FIONREAD), &waiting) == 0 && waiting == 65536
        }
        #expect(isFull, "\(waiting)")
        kill(running.pid, SIGTERM)
        #expect(running.ending(within: .seconds(10)).signal == SIGTERM)
    }

    // MARK: What the shadow hears and holds

    @Test("the shadow holds nothing that the command was given")
    func descriptors() throws {
        let place = try Installation.shared.get().makeDirectory()
        let daemon = try ShadowDaemon(place + "/s")
        let ending = try shell("exec flock --nonblock lock $run true", in: place).ending()
        #expect(ending.exitCode == 0, "\(ending.errorText)")
        // From here on the shadow waits for an answer.
        let request = try daemon.request()
        let second = try Program.run(["flock", "--nonblock", place + "/lock", "true"])
        #expect(second.exitCode == 0)
        #expect(request.body["argv"] == ["true"])
    }

    @Test("the shadow begins when the command has ended, whatever that left running")
    func beginning() throws {
        let place = try Installation.shared.get().makeDirectory()
        let daemon = try ShadowDaemon(place + "/s")
        let script = "until [ -e go ]; do sleep 0.05; done & exit 0"
        let running = try shell("$run sh -c '\(script)' | cat", in: place)
        #expect(try daemon.request().body["profile"] == "code")
        #expect(!running.ends(within: .zero))
        try Data().write(to: URL(filePath: place + "/go"))
        #expect(running.ending().exitCode == 0)
    }

    @Test(
        "an output is compared when it can be seen without a change",
        arguments: [
            ("$run echo good | cat", true), ("exec $run echo good > got", true),
            // Who else writes there is not known.
            ("exec $run echo good >> got", false), ("exec > got; $run echo good; true", false),
            ("exec $run echo good > got 2>&1", false), ("$run echo good 2>&1 | cat", false),
            // The command has a place of its own in the file.
            ("exec $run sh -c 'echo good > /dev/stdout' > got", false),
            ("exec $run echo good > /dev/null", false), ("exec $run true >&-", false),
        ] as [(String, Bool)]
    )
    func seen(_ lines: String, _ isSeen: Bool) throws {
        let place = try Installation.shared.get().makeDirectory()
        let daemon = try ShadowDaemon(place + "/s")
        let ending = try shell(lines, in: place).ending()
        #expect(ending.exitCode == 0 && ending.errorText.isEmpty)
        try daemon.request().answer(["verdict": "ok", "attempt_id": "a"])
        let comparison = try daemon.request()
        try comparison.answer([:])
        // Of "good\n".
        let digest = "106675dc1490d5cdd6d1f0410731316ce93fc964c6cf6726e2b0d53e19688feb"
        let output: JSON? = isSeen ? ["bytes": 5, "sha256": .string(digest)] : nil
        #expect(comparison.body["counted"]?["stdout"] == output)
        #expect(comparison.body["counted"]?["stderr"] == nil)
    }
}

/// What a shadow takes for the daemon: it hears each request, and answers when it is told to.
private final class ShadowDaemon {
    /// A request of the shadow's, which waits for its answer.
    final class Request {
        let body: JSON
        private let connection: Int32

        fileprivate init(_ connection: Int32) throws {
            self.connection = connection
            var bytes: [UInt8] = []
            var piece = [UInt8](repeating: 0, count: 64 << 10)
            while !bytes.suffix(5).elementsEqual(Array("0\r\n\r\n".utf8)) {
                let count = read(connection, &piece, piece.count)
                guard count > 0 else { throw SocketError("hearing the shadow") }
                bytes += piece[..<count]
            }
            // One chunk that is one object.
            let open = try #require(bytes.firstIndex(of: UInt8(ascii: "{")))
            let end = try #require(bytes.lastIndex(of: UInt8(ascii: "}")))
            body = try JSON(Array(bytes[open...end]))
        }

        deinit { close(connection) }

        func answer(_ json: JSON) throws {
            let bytes = try json.bytes
            let head = "HTTP/1.1 200 OK\r\nContent-Length: \(bytes.count)\r\n\r\n"
            let all = Array(head.utf8) + bytes
            try #require(write(connection, all, all.count) == all.count)
        }
    }

    private let listener: Int32

    init(_ path: String) throws {
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        listener = socket(AF_UNIX, kind, 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard bound == 0, listen(listener, 8) == 0 else {
            throw SocketError("listening for the shadow")
        }
    }

    deinit { close(listener) }

    /// The next request, which must come.
    func request() throws -> Request {
        var state = pollfd(fd: listener, events: Int16(POLLIN), revents: 0)
        let isThere = Host.waits(upTo: .seconds(20)) { poll(&state, 1, 0) == 1 }
        try #require(isThere, "the shadow says nothing")
        let connection = accept(listener, nil, nil)
        guard connection >= 0 else { throw SocketError("accepting the shadow") }
        _ = fcntl(connection, F_SETFD, FD_CLOEXEC)
        return try Request(connection)
    }
}
