// SPDX-License-Identifier: Apache-2.0
import Foundation
import Policy
import Testing

@Suite struct FilterTests {
    /// A changed answer must be seen by a person before it ships.
    ///
    /// `SANDBOXD_WRITE_GOLDEN=1` writes the file anew; the diff is then there to be read.
    @Test("every call by number gets the answer in the golden file", arguments: Fixture.profiles)
    func golden(_ name: String) throws {
        let policy = try Fixture.policy(name)
        let answers = GoldenFilter.sweep(try policy.seccompProgram(), names: policy.syscalls.names)
        let file = GoldenFilter.file(for: name)
        if ProcessInfo.processInfo.environment["SANDBOXD_WRITE_GOLDEN"] == "1" {
            try answers.write(to: file, atomically: true, encoding: .utf8)
        }
        let kept = try String(contentsOf: file, encoding: .utf8)
        let differences = zip(answers.split(separator: "\n"), kept.split(separator: "\n"))
            .filter { $0 != $1 }
            .map { "is \($0), was \($1)" }
        #expect(differences == [])
        #expect(answers.count == kept.count)
    }

    @Test("the filter does what the rules say, for any call", arguments: Fixture.profiles)
    func agreement(_ name: String) throws {
        let policy = try Fixture.policy(name).syscalls
        let program = try policy.seccompProgram()
        var calls = RandomCalls(for: policy, seed: 0x5eed)
        var answers: [SeccompAction: Int] = [:]
        for _ in 0..<100_000 {
            let call = calls.next()
            let answer = program.evaluate(call)
            answers[answer, default: 0] += 1
            guard answer == policy.verdict(on: call) else {
                Issue.record("\(call) gets \(answer), not \(policy.verdict(on: call))")
                return
            }
        }
        // Each kind of answer was tried often, or the agreement would mean little.
        for answer in [SeccompAction.allow, .errno(1), .errno(38), .errno(97), .killProcess] {
            #expect(answers[answer, default: 0] > 1000, "\(answer)")
        }
    }

    @Test("no job takes of the host's pool of huge pages", arguments: Fixture.profiles)
    func hugePages(_ name: String) throws {
        let program = try Fixture.policy(name).seccompProgram()
        let names = try Fixture.policy(name).syscalls.names
        func number(_ call: String) throws -> UInt32 {
            try #require(names.first { $0.value == call }?.key)
        }
        let (mmap, memfd, shmget) = (
            try number("mmap"), try number("memfd_create"), try number("shmget")
        )
        // MAP_PRIVATE | MAP_ANONYMOUS, MFD_CLOEXEC, IPC_CREAT: with and without the bit.
        #expect(program.action(mmap, 0, 4096, 3, 0x22) == .allow)
        #expect(program.action(mmap, 0, 2 << 20, 3, 0x40022) == .errno(12))
        #expect(program.action(memfd, 1, 0x1) == .allow)
        #expect(program.action(memfd, 1, 0x5) == .errno(22))
        #expect(program.action(shmget, 0, 4096, 0o1600) == .allow)
        #expect(program.action(shmget, 0, 2 << 20, 0o5600) == .errno(12))
    }

    @Test("libseccomp makes the same filter of the same rules", arguments: Fixture.profiles)
    func reference(_ name: String) throws {
        let policy = try Fixture.policy(name).syscalls
        let program = try policy.seccompProgram()
        let reference = try LibseccompReference(policy)
        var calls = RandomCalls(for: policy, seed: 0xbead)
        for _ in 0..<100_000 {
            let call = calls.next()
            guard program.evaluate(call) == reference.evaluate(call) else {
                Issue.record("\(call): libseccomp gives \(reference.evaluate(call))")
                return
            }
        }
    }

    @Test("the filter fits the kernel's limit and ends in every case", arguments: Fixture.profiles)
    func wellFormed(_ name: String) throws {
        let program = try Fixture.policy(name).seccompProgram()
        #expect((1...4096).contains(program.instructionCount))
        #expect(program.bytes.count == program.instructionCount * 8)
        // What the kernel checks before it takes a filter: no jump leaves the program, and its
        // last instruction is a return.
        #expect(program.instructions.last?.code == 0x06)
        for (index, instruction) in program.instructions.enumerated() {
            let farthest =
                switch instruction.code {
                case 0x05: Int(instruction.operand)
                case 0x15, 0x35:
                    Int(max(instruction.jumpTrue, instruction.jumpFalse))
                default: 0
                }
            #expect(index + farthest + 1 <= program.instructionCount)
        }
    }

    @Test("the same policy gives the same bytes")
    func stable() throws {
        let first = try Fixture.policy("code").seccompProgram().bytes
        let second = try Fixture.policy("code").seccompProgram().bytes
        #expect(first == second)
    }

    /// A call, and the answer it must get. The numbers are those of x86_64.
    struct Fact: CustomTestStringConvertible {
        let testDescription: String
        let number: UInt32
        let arguments: [UInt64]
        let answer: SeccompAction

        init(
            _ description: String,
            _ number: UInt32,
            _ arguments: [UInt64] = [],
            _ answer: SeccompAction
        ) {
            testDescription = description
            self.number = number
            self.arguments = arguments
            self.answer = answer
        }
    }

    private func expect(_ fact: Fact) throws {
        let call = SeccompCall(
            number: fact.number,
            architecture: Architecture.x86_64.rawValue,
            arguments: fact.arguments
        )
        for program in try Self.programs.get() {
            #expect(program.evaluate(call) == fact.answer)
        }
    }

    /// The filters of the shipped profiles without nested namespaces, compiled once; what the other
    /// one lets through besides is for `NestedNamespacesTests`.
    private static let programs = Result {
        try Fixture.profiles.filter { $0 != "browser" }
            .map { try Fixture.policy($0).seccompProgram() }
    }

    private static let refused = SeccompAction.errno(1)
    private static let absent = SeccompAction.errno(38)
    private static let noFamily = SeccompAction.errno(97)

    @Test(
        "what starts a job is allowed",
        arguments: [
            Fact("read", 0, .allow), Fact("write", 1, .allow), Fact("close", 3, .allow),
            Fact("execve", 59, .allow), Fact("execveat", 322, .allow), Fact("exit", 60, .allow),
            Fact("exit_group", 231, .allow), Fact("rseq", 334, .allow),
            Fact("memfd_create", 319, .allow), Fact("seccomp", 317, .allow),
            Fact("landlock_restrict_self", 446, .allow), Fact("close_range", 436, .allow),
        ]
    )
    func needed(_ fact: Fact) throws {
        try expect(fact)
    }

    @Test(
        "a thread can be made, a namespace cannot",
        arguments: [
            Fact("clone3", 435, [1, 88], absent),
            Fact("fork by clone", 56, [0x11], .allow),
            Fact("pthread_create", 56, [0x3d_0f00], .allow),
            Fact("posix_spawn", 56, [0x4111], .allow),
            Fact("CLONE_NEWNS", 56, [0x0002_0011], refused),
            Fact("CLONE_NEWCGROUP", 56, [0x0200_0011], refused),
            Fact("CLONE_NEWUTS", 56, [0x0400_0011], refused),
            Fact("CLONE_NEWIPC", 56, [0x0800_0011], refused),
            Fact("CLONE_NEWUSER", 56, [0x1000_0011], refused),
            Fact("CLONE_NEWPID", 56, [0x2000_0011], refused),
            Fact("CLONE_NEWNET", 56, [0x4000_0011], refused),
            Fact("CLONE_NEWTIME", 56, [0x80], refused),
            Fact("CLONE_NEWUSER under high bits", 56, [0xdead_0000_1000_0011], refused),
            Fact("SIGSYS as exit signal", 56, [0x1f], refused),
            Fact("unshare", 272, [0], refused), Fact("setns", 308, refused),
        ]
    )
    func namespaces(_ fact: Fact) throws {
        try expect(fact)
    }

    @Test(
        "a terminal can be asked and not typed into, and a disk not written out",
        arguments: [
            Fact("TCGETS", 16, [0, 0x5401], .allow), Fact("TIOCGWINSZ", 16, [0, 0x5413], .allow),
            Fact("a request with its sign bit", 16, [0, 0xffff_ffff_8004_5430], .allow),
            Fact("TIOCSTI", 16, [0, 0x5412], refused),
            Fact("TIOCLINUX", 16, [0, 0x541c], refused),
            Fact("TIOCSETD", 16, [0, 0x5423], refused),
            Fact("TIOCSTI under high bits", 16, [0, 0x123_0000_5412], refused),
            Fact("TIOCLINUX under high bits", 16, [0, 0x123_0000_541c], refused),
            Fact("TIOCSETD under high bits", 16, [0, 0x8000_0000_0000_5423], refused),
            Fact("BTRFS_IOC_SYNC", 16, [3, 0x9408], refused),
            Fact("BTRFS_IOC_START_SYNC", 16, [3, 0x8008_9418], refused),
            Fact("BTRFS_IOC_WAIT_SYNC", 16, [3, 0x4008_9416], refused),
        ]
    )
    func terminals(_ fact: Fact) throws {
        try expect(fact)
    }

    @Test(
        "only local, TCP, UDP and route sockets can be made",
        arguments: [
            Fact("AF_UNIX", 41, [1, 1, 0], .allow),
            Fact("AF_UNIX, close-on-exec", 41, [1, 0x80002, 0], .allow),
            Fact("TCP", 41, [2, 1, 6], .allow),
            Fact("TCP by default", 41, [2, 0x80801, 0], .allow),
            Fact("UDP", 41, [2, 2, 17], .allow), Fact("TCP over IPv6", 41, [10, 1, 6], .allow),
            Fact("UDP over IPv6 by default", 41, [10, 2, 0], .allow),
            Fact("NETLINK_ROUTE", 41, [16, 3, 0], .allow),
            Fact("NETLINK_NETFILTER", 41, [16, 3, 12], noFamily),
            Fact("NETLINK_AUDIT", 41, [16, 3, 9], noFamily),
            Fact("ping", 41, [2, 2, 1], noFamily), Fact("MPTCP", 41, [2, 1, 262], noFamily),
            Fact("SCTP", 41, [2, 1, 132], noFamily), Fact("a raw socket", 41, [2, 3, 6], noFamily),
            Fact("SOCK_PACKET", 41, [2, 10, 0], noFamily),
            Fact("SOCK_SEQPACKET over IPv6", 41, [10, 5, 0], noFamily),
            Fact("AF_PACKET", 41, [17, 3, 0], noFamily), Fact("AF_ALG", 41, [38, 5, 0], noFamily),
            Fact("AF_VSOCK", 41, [40, 1, 0], noFamily), Fact("AF_XDP", 41, [44, 3, 0], noFamily),
            Fact("AF_UNSPEC", 41, [0, 1, 0], noFamily),
            Fact("AF_VSOCK under high bits", 41, [0x1_0000_0028, 1, 0], noFamily),
            Fact("TCP under high bits", 41, [0x7_0000_0002, 0x7_0000_0001, 0x7_0000_0000], .allow),
            Fact("a local pair", 53, [1, 1, 0], .allow),
            Fact("another pair", 53, [2, 1, 0], noFamily),
        ]
    )
    func sockets(_ fact: Fact) throws {
        try expect(fact)
    }

    @Test(
        "only a filter kills by SIGSYS",
        arguments: [
            Fact("kill by SIGTERM", 62, [1, 15], .allow), Fact("kill", 62, [1, 31], refused),
            Fact("tkill", 200, [1, 31], refused), Fact("tgkill", 234, [1, 1, 31], refused),
            Fact("tgkill of thread 31", 234, [1, 31, 6], .allow),
            Fact("rt_sigqueueinfo", 129, [1, 31], refused),
            Fact("rt_tgsigqueueinfo", 297, [1, 1, 31], refused),
            Fact("pidfd_send_signal", 424, [3, 31], refused),
            Fact("kill under high bits", 62, [1, 0xff_0000_001f], refused),
            Fact("PR_SET_PDEATHSIG to SIGSYS", 157, [1, 31], refused),
            Fact("PR_SET_PDEATHSIG to SIGKILL", 157, [1, 9], .allow),
            Fact("PR_SET_SYSCALL_USER_DISPATCH", 157, [59], refused),
            Fact("PR_SET_NAME", 157, [15], .allow),
            Fact("F_SETSIG to SIGSYS", 72, [0, 10, 31], refused),
            Fact("F_GETFD", 72, [0, 1], .allow),
        ]
    )
    func signals(_ fact: Fact) throws {
        try expect(fact)
    }

    @Test(
        "the kernel's doors stay shut",
        arguments: [
            Fact("personality as it is", 135, [0xffff_ffff], .allow),
            Fact("personality, plain", 135, [0], .allow),
            Fact("ADDR_NO_RANDOMIZE", 135, [0x004_0000], refused),
            Fact("READ_IMPLIES_EXEC", 135, [0x040_0000], refused),
            Fact("PER_LINUX32", 135, [8], refused),
            Fact("ptrace", 101, refused), Fact("mount", 165, refused), Fact("bpf", 321, refused),
            Fact("perf_event_open", 298, refused), Fact("userfaultfd", 323, refused),
            Fact("keyctl", 250, refused), Fact("chroot", 161, refused),
            Fact("process_vm_readv", 310, refused), Fact("pidfd_getfd", 438, refused),
            Fact("open_by_handle_at", 304, refused), Fact("modify_ldt", 154, refused),
            Fact("sched_setaffinity", 203, refused), Fact("init_module", 175, refused),
            Fact("io_uring_setup", 425, absent), Fact("io_uring_enter", 426, absent),
            Fact("statmount", 457, absent), Fact("lsm_list_modules", 461, absent),
            Fact("open_tree_attr", 467, refused), Fact("setxattrat", 463, absent),
            Fact("file_setattr", 469, absent), Fact("a call not yet made", 500, absent),
            Fact("number -1, a skipped call", .max, absent),
        ]
    )
    func doors(_ fact: Fact) throws {
        try expect(fact)
    }
}

extension FilterTests.Fact {
    init(_ description: String, _ number: UInt32, _ answer: SeccompAction) {
        self.init(description, number, [], answer)
    }
}
