// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// A system call that no job may make, and what is said of it.
struct DeniedCall: Sendable, CustomTestStringConvertible {
    let name: String
    /// On x86_64.
    let number: Int
    var arguments: [UInt64] = []
    let errno: String
    /// Those of its arguments that decided.
    var decided: [String: Int] = [:]
    /// What `sandboxd explain` says of it.
    let remedy: String

    var testDescription: String { name }

    private static let never = "no profile can allow it"
    private static let judged = "is judged by these arguments"
    private static let addition = "would be allowed by 'syscalls.allow: [{name:"

    static let all: [DeniedCall] = [
        DeniedCall(name: "keyctl", number: 250, errno: "EPERM", remedy: never),
        DeniedCall(name: "add_key", number: 248, errno: "EPERM", remedy: never),
        DeniedCall(name: "request_key", number: 249, errno: "EPERM", remedy: never),
        DeniedCall(name: "bpf", number: 321, errno: "EPERM", remedy: never),
        DeniedCall(name: "perf_event_open", number: 298, errno: "EPERM", remedy: never),
        DeniedCall(name: "userfaultfd", number: 323, errno: "EPERM", remedy: never),
        DeniedCall(name: "kexec_load", number: 246, errno: "EPERM", remedy: never),
        DeniedCall(name: "init_module", number: 175, errno: "EPERM", remedy: never),
        DeniedCall(name: "mount", number: 165, errno: "EPERM", remedy: never),
        DeniedCall(name: "umount2", number: 166, errno: "EPERM", remedy: never),
        DeniedCall(name: "pivot_root", number: 155, errno: "EPERM", remedy: never),
        DeniedCall(name: "setns", number: 308, errno: "EPERM", remedy: never),
        DeniedCall(name: "ptrace", number: 101, errno: "EPERM", remedy: never),
        DeniedCall(name: "process_vm_readv", number: 310, errno: "EPERM", remedy: never),
        DeniedCall(name: "pidfd_getfd", number: 438, errno: "EPERM", remedy: never),
        DeniedCall(name: "clone3", number: 435, errno: "ENOSYS", remedy: never),
        DeniedCall(
            name: "socket",
            number: 41,
            arguments: [40, 1, 0],
            errno: "EAFNOSUPPORT",
            decided: ["arg0": 40],
            remedy: judged
        ),
        DeniedCall(
            name: "unshare",
            number: 272,
            arguments: [0x1000_0000],
            errno: "EPERM",
            remedy: never
        ),
        DeniedCall(
            name: "ioctl",
            number: 16,
            arguments: [0, 0x5412, 0],
            errno: "EPERM",
            decided: ["arg1": 0x5412],
            remedy: judged
        ),
        DeniedCall(name: "memfd_secret", number: 447, errno: "ENOSYS", remedy: addition),
        DeniedCall(name: "lookup_dcookie", number: 212, errno: "EPERM", remedy: never),
        DeniedCall(
            name: "set_mempolicy_home_node",
            number: 450,
            errno: "ENOSYS",
            remedy: addition
        ),
    ]
}

@Suite(
    "What a run was denied",
    .daemon,
    .beside,
    .enabled(if: isX86, "the numbers are those of x86_64"),
    .enabled(if: Host.engineSocket == nil, "a container's own filter refuses before init is asked")
)
struct DeniedCallsTests {
    private static let program = """
        import ctypes, json, sys
        libc = ctypes.CDLL(None, use_errno=True)
        for number, arguments in json.load(sys.stdin):
            libc.syscall(number, *(ctypes.c_ulong(a) for a in arguments))
            libc.syscall(number, *(ctypes.c_ulong(a) for a in arguments))
        """

    /// One run that makes every call of the table twice.
    private static func report(_ more: [String: JSON]) throws -> Report {
        let calls = DeniedCall.all.map { call in
            "[\(call.number), [\(call.arguments.map(String.init).joined(separator: ","))]]"
        }
        let input = JSON.string("[" + calls.joined(separator: ",") + "]")
        return try Host.daemon().run(.python(program, ["stdin": input].merging(more) { $1 }))
    }

    @Test("each refused call is named, with the arguments that decided, its program and its count")
    func table() throws {
        let report = try Self.report(["explain": "denied"])
        #expect(report.verdict == "ok" && report.isClean, "\(report.json)")
        let seen = report.json["calls"]?.elements ?? []
        let installation = try Installation.shared.get()
        let place = try installation.makeDirectory() + "/report"
        try Data(report.json.bytes).write(to: URL(filePath: place))
        let explained = try Program.run(
            [installation.program("sandboxd"), "explain", "-"],
            stdin: place
        )
        #expect(explained.exitCode == 0, "\(explained.errorText)")
        let lines = explained.text.split(separator: "\n").map(String.init)
        for call in DeniedCall.all {
            let found = seen.filter { $0["number"]?.int == call.number }
            #expect(found.count == 1, "\(call.name): \(found)")
            let one = found.first
            #expect(one?["errno"]?.text == call.errno, "\(call.name): \(String(describing: one))")
            #expect(one?["program"]?.text == "python3", "\(call.name)")
            // Some programs probe for one by themselves.
            #expect((one?["count"]?.int ?? 0) >= 2, "\(call.name)")
            for (argument, value) in call.decided {
                #expect(one?["arguments"]?[argument]?.int == value, "\(call.name)")
            }
            let at = lines.firstIndex { $0.hasPrefix("\(call.name) (\(call.number))") }
            let remedy = at.flatMap { lines.indices.contains($0 + 1) ? lines[$0 + 1] : nil } ?? ""
            #expect(remedy.contains(call.remedy), "\(call.name): \(remedy)")
        }
        let suggested = try Program.run(
            [installation.program("sandboxd"), "explain", "-", "--suggest"],
            stdin: place
        )
        // Most of them never.
        #expect(suggested.exitCode == 1)
        #expect(suggested.text.contains("{name: memfd_secret, why:"))
        #expect(
            !suggested.text.contains("keyctl") && suggested.errorText.contains("keyctl is never")
        )
    }

    @Test("a place is explained by why it was not reached, and suggested where a rule is missing")
    func places() throws {
        let rows = [
            ("example.com:443", "no_rule", "would be allowed by"),
            ("10.0.0.5:80", "no_rule", "'network.allow', and 'serve --egress-to'"),
            ("10.0.0.6:80", "address", "only 'serve --egress-to'"),
            ("", "no_rule", "more than one place"),
            ("example.net:443", "exhausted", "the cap is 'network.bytes'"),
            ("example.org:443", nil, "does not say"),
        ]
        let network = rows.map { place, cause, _ in
            let cause = cause.map { #", "cause": "\#($0)""# } ?? ""
            return #"{"place": "\#(place)", "allowed": false, "reason": "refused"\#(cause)}"#
        }
        let report = """
            {"profile": "code", "verdict": "ok", "attempt_id": "ab",
             "network": [\(network.joined(separator: ","))]}
            """
        let installation = try Installation.shared.get()
        let file = try installation.makeDirectory() + "/report"
        try Data(report.utf8).write(to: URL(filePath: file))
        let program = installation.program("sandboxd")
        let lines = try Program.run([program, "explain", "-"], stdin: file)
            .text.split(separator: "\n").map(String.init)
        for (place, _, remedy) in rows {
            let at = lines.firstIndex { $0.hasPrefix("network: \(place): ") } ?? lines.endIndex - 1
            #expect(lines.dropFirst(at + 1).first?.contains(remedy) == true, "\(lines)")
        }
        let suggested = try Program.run([program, "explain", "-", "--suggest"], stdin: file)
        #expect(suggested.text == "network:\n  allow:\n    - \"example.com:443\"\n")
    }

    @Test("without being asked for, nothing of it is told, and calls are refused just the same")
    func control() throws {
        let report = try Self.report([:])
        #expect(report.verdict == "ok" && report.json["calls"] == [])
        let answers = """
            import ctypes, os
            libc = ctypes.CDLL(None, use_errno=True)
            print([(libc.syscall(n, 0, 0, 0, 0, 0), os.strerror(ctypes.get_errno())) for n in (250, 447)])
            """
        let plain = try Host.daemon().run(.python(answers))
        let explained = try Host.daemon().run(.python(answers, ["explain": "denied"]))
        #expect(plain.text == explained.text)
        #expect(plain.text.contains("Operation not permitted"))
    }

    @Test("a job that is refused without end, by many threads, and then killed, leaves nothing")
    func flood() throws {
        let program = """
            import ctypes, os, threading
            libc = ctypes.CDLL(None, use_errno=True)
            def flood(at):
                for n in range(10**9): libc.syscall(250, n % 7, at)
            for at in range(8):
                if os.fork() == 0:
                    for t in range(4): threading.Thread(target=flood, args=(t,), daemon=True).start()
                    flood(at)
            flood(99)
            """
        let run = Run.python(program, ["explain": "denied"])
            .limited(["wall_time_ms": .number(Double(1500 * Host.slowness))])
        let report = try Host.daemon().run(run)
        #expect(report.verdict == "wall_time" && report.isClean, "\(report.json)")
        let keyctl = (report.json["calls"]?.elements ?? []).filter { $0["name"]?.text == "keyctl" }
        #expect(keyctl.count == 1 && (keyctl.first?["count"]?.int ?? 0) > 100)
    }

    @Test("more kinds of calls than there is room for are counted, and the first are kept")
    func overflow() throws {
        let program = """
            import ctypes
            libc = ctypes.CDLL(None, use_errno=True)
            for n in range(700): libc.syscall(41, 100 + n, 1, 0)
            """
        let report = try Host.daemon().run(.python(program, ["explain": "denied"]))
        #expect(report.verdict == "ok" && report.isClean)
        #expect(report.json["calls"]?.elements.count == 512)
        #expect((report.json["calls_unrecorded"]?.int ?? 0) >= 188)
    }

    @Test("what asks for something else is refused by name")
    func refused() throws {
        let answer = try Host.daemon().post(Run(["true"], ["explain": "everything"]).json.bytes)
        #expect(answer.status == 400 && answer.text.contains("denied and all"))
    }
}

#if arch(x86_64)
    private let isX86 = true
#else
    private let isX86 = false
#endif
