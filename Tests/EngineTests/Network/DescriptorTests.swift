// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@Suite("A daemon without descriptors", .ownDaemon, .beside)
struct DescriptorTests {
    /// The number that the next descriptor of a process gets.
    private func next(of process: pid_t) -> Int {
        let taken = Set(ProcessTable.names("/proc/\(process)/fd").compactMap { Int($0) })
        return (0...).first { !taken.contains($0) } ?? 0
    }

    /// Waits until a process has opened and closed nothing for a while: what a connection had may be
    /// closed a little later than the job sees its end.
    private func waitUntilSettled(_ process: pid_t) {
        var last: [String] = []
        var since = Host.milliseconds
        _ = Host.waits(upTo: .seconds(20)) {
            let place = "/proc/\(process)/fd/"
            let now = ProcessTable.names(place).sorted().map { name in
                let path = place + name
                return (try? FileManager.default.destinationOfSymbolicLink(atPath: path)) ?? name
            }
            if now != last { (last, since) = (now, Host.milliseconds) }
            return Host.milliseconds - since > 500
        }
    }

    private func limit(_ process: pid_t, to count: Int) throws {
        let command = Program.asUser + ["prlimit", "--pid", "\(process)", "--nofile=\(count):"]
        let ending = try Program.run(command)
        try #require(ending.exitCode == 0, "\(ending.errorText)")
    }

    /// The limit of a process.
    private func limit(of process: pid_t) throws -> Int {
        let text = try String(contentsOfFile: "/proc/\(process)/limits", encoding: .utf8)
        let line = try #require(
            text.split(separator: "\n").first { $0.hasPrefix("Max open files") }
        )
        return try #require(line.split(separator: " ").dropFirst(3).first.flatMap { Int($0) })
    }

    /// Processor time of a process so far, in milliseconds.
    private func spent(by process: pid_t) throws -> Int {
        let text = try String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8)
        // Behind the name, which may have anything in it: utime and stime are fields 14 and 15.
        let fields = (text.split(separator: ")").last ?? "").split(separator: " ")
        let ticks = fields[11...12].compactMap { Int($0) }.reduce(0, +)
        return ticks * 1000 / sysconf(Int32(_SC_CLK_TCK))
    }

    @Test("a job's connection waits, or is told so, and all goes on when there are some again")
    func exhausted() throws {
        let server = try WebServer()
        let profiles = try NetworkProfile.make(
            """
            network:
              allow: ["site.test:\(server.port)"]
              ask: []
              bytes: 4MiB
            """
        )
        let daemon = try TestDaemon([
            "--profiles", profiles, "--egress-to", "site.test=127.0.0.1", "--spares", "0",
        ])
        let program = """
            import socket, sys
            for line in sys.stdin:
                with socket.create_connection(('127.0.0.1', 3128), 20) as s:
                    s.sendall(b'GET http://site.test:\(server.port)/ HTTP/1.1\\r\\n\\r\\n')
                    s.settimeout(0.5)
                    try: first = s.recv(4096)
                    except TimeoutError:
                        print(line.strip(), 'waits', flush=True)
                        s.settimeout(30)
                        first = s.recv(4096)
                print(line.strip(), first, flush=True)
            """
        let live = try LiveRun(
            streaming: daemon.api,
            Run(["python3", "-c", program], profile: "net", ["stdin_stream": true])
        )
        try live.feed("first\n")
        try live.waits(for: "first b'HTTP/1.1 200")
        waitUntilSettled(daemon.pid)
        let before = try limit(of: daemon.pid)
        // Not one: the connection is not accepted.
        try limit(daemon.pid, to: next(of: daemon.pid))
        let start = try spent(by: daemon.pid)
        try live.feed("none\n")
        try live.waits(for: "none waits")
        // Nothing is tried again and again meanwhile, which is at least half a second.
        let took = try spent(by: daemon.pid) - start
        #expect(took < 250 * Host.slowness, "\(took) ms")
        try limit(daemon.pid, to: before)
        try live.waits(for: "none b'HTTP/1.1 200")
        waitUntilSettled(daemon.pid)
        // One: it is accepted, and cannot go on.
        try limit(daemon.pid, to: next(of: daemon.pid) + 1)
        try live.feed("one\n")
        try live.waits(for: "one b'HTTP/1.1 502")
        try limit(daemon.pid, to: before)
        try live.feed("last\n")
        try live.endInput()
        let report = try live.report()
        #expect(report.verdict == "ok" && report.isClean, "\(report.json)")
        let text = String(decoding: live.output["stdout"] ?? [], as: UTF8.self)
        #expect(text.contains("last b'HTTP/1.1 200"), "\(text)")
        let reasons = (report.json["network"]?.elements ?? []).compactMap { $0["reason"]?.text }
        #expect(reasons.contains { $0.contains("Too many open files") }, "\(reasons)")
        daemon.stop()
    }
}
