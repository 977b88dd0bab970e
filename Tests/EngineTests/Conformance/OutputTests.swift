// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@Suite("Output", .daemon, .beside)
struct OutputTests {
    @Test("the two streams are kept apart")
    func streams() throws {
        let report = try Host.daemon().run(.shell("echo out; echo err >&2"))
        #expect(report.stdout == Array("out\n".utf8))
        #expect(report.stderr == Array("err\n".utf8))
    }

    @Test("binary output comes back byte for byte, and says that it is base64")
    func binary() throws {
        let program = "import os; os.write(1, bytes(range(256)) * 16)"
        let report = try Host.daemon().run(.python(program))
        #expect(report.json["stdout_encoding"]?.text == "base64")
        #expect(report.stdout == (0..<4096).map { UInt8($0 % 256) })
    }

    @Test("text with NUL, escapes and half a character comes back byte for byte")
    func awkward() throws {
        let bytes: [UInt8] = [0, 27, 93, 53, 50, 59, 7, 13, 10, 0xe2, 0x98]
        let list = bytes.map(String.init).joined(separator: ",")
        let report = try Host.daemon().run(.python("import os; os.write(2, bytes([\(list)]))"))
        #expect(report.stderr == bytes)
    }

    @Test("head and tail are kept, the true count is told, and the cut is marked")
    func headAndTail() throws {
        let program = "import sys; sys.stdout.write(''.join('%07d\\n' % i for i in range(100000)))"
        let run = Run.python(program).limited(["output_bytes": 4096])
        let report = try Host.daemon().run(run)
        let text = String(decoding: report.stdout, as: UTF8.self)
        #expect(report.verdict == "ok")
        #expect(text.hasPrefix("0000000\n0000001\n"))
        #expect(text.hasSuffix("0099998\n0099999\n"))
        #expect(text.contains("795904 bytes dropped"))
        #expect(report.json["stdout_truncated"]?.bool == true)
        #expect(report.json["stderr_truncated"]?.bool == false)
        #expect(report.usage("output_kept_bytes") == 4096)
        #expect(report.usage("output_dropped_bytes") == 795_904)
    }

    @Test("output of exactly the cap is whole")
    func exact() throws {
        let run = Run.python("print('x' * 4095)").limited(["output_bytes": 4096])
        let report = try Host.daemon().run(run)
        #expect(report.stdout.count == 4096)
        #expect(report.json["stdout_truncated"]?.bool == false)
        #expect(report.usage("output_dropped_bytes") == 0)
    }

    @Test("output comes out while the run goes on")
    func live() throws {
        let live = try Host.daemon().start(
            .shell("echo first; read x < /dev/zero; sleep 0.3; echo second")
        )
        try live.waits(for: "first")
        live.cancel()
    }

    @Test("what came out live and what the result holds are the same")
    func liveAndKept() throws {
        let live = try Host.daemon().start(.shell("seq 20000; seq 300 >&2"))
        let report = try live.report()
        #expect(live.output["stdout"] == report.stdout)
        #expect(live.output["stderr"] == report.stderr)
    }

    @Test("of a long live output head and tail come, and the offsets tell of the gap")
    func liveGap() throws {
        let run = Run.python("import sys; sys.stdout.write('0123456789' * 100000)")
            .limited(["output_bytes": 4096])
        let live = try Host.daemon().start(run)
        var pieces: [(Int, Int)] = []
        while let event = try live.next() {
            guard event["event"]?.text == "stdout" else { continue }
            let bytes = Data(base64Encoded: event["data"]?.text ?? "")?.count ?? 0
            pieces.append((event["offset"]?.int ?? -1, bytes))
        }
        #expect(pieces.first?.0 == 0)
        #expect(pieces.map { $0.1 }.reduce(0, +) == 4096)
        #expect(pieces.last.map { $0.0 + $0.1 } == 1_000_000)
    }
}

/// Alone, because it weighs the daemon that all tests share.
@Suite("Output that nobody reads", .daemon, .alone)
struct UnreadOutputTests {
    @Test("a reader that does not read holds the job up, not the daemon's memory")
    func slowReader() throws {
        let api = try Host.daemon()
        let daemon = try HTTPConnection(api.socket).peer
        let before = ProcessTable.kilobytes("VmRSS", of: daemon) ?? 0
        let live = try api.start(
            Run(["head", "-c", "50000000", "/dev/zero"]).limited(["output_bytes": 1_048_576])
        )
        // The job is done writing, or blocked on its pipe, when others have run meanwhile.
        for _ in 0..<10 { #expect(try api.run(Run(["true"])).verdict == "ok") }
        let after = ProcessTable.kilobytes("VmRSS", of: daemon) ?? 0
        #expect(after - before < 16 << 10, "it grew by \(after - before) kB")
        let report = try live.report()
        #expect(report.usage("output_kept_bytes") == 1_048_576)
        #expect(report.usage("output_dropped_bytes") == 48_951_424)
    }
}

/// Alone, for it looks at the daemon's memory, which other runs' inputs and outputs pass through.
@Suite("A flood of output", .daemon, .alone)
struct FloodTests {
    @Test("endless output ends the run at the cap, and the daemon stays small")
    func endless() throws {
        let api = try Host.daemon()
        let daemon = try HTTPConnection(api.socket).peer
        let before = ProcessTable.kilobytes("VmRSS", of: daemon) ?? 0
        let run = Run(["cat", "/dev/zero"])
            .limited(["output_bytes": 65_536, "output_total_bytes": 33_554_432])
        let report = try api.run(run)
        #expect(report.verdict == "output")
        #expect(try #require(report.evidence("output_bytes")) > 33_554_432)
        let after = ProcessTable.kilobytes("VmRSS", of: daemon) ?? 0
        #expect(after - before < 32 << 10, "it grew by \(after - before) kB")
    }
}
