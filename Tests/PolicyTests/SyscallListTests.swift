// SPDX-License-Identifier: Apache-2.0
import Policy
import Testing

@Suite struct SyscallListTests {
    @Test("a profile may add a call that its base list is silent about")
    func addition() throws {
        let policy = try Fixture.policy(adding: "{name: mq_open, why: Queues.}")
        #expect(policy.syscalls.decision(for: 240) == .allow)
        let rule = policy.syscalls.rules.first { $0.number == 240 }
        #expect(rule?.group == SyscallPolicy.additions)
        #expect(rule?.why == "Queues.")
    }

    @Test("a call that libseccomp cannot name is added by number")
    func byNumber() throws {
        let policy = try Fixture.policy(adding: "{name: file_getattr, number: 468, why: Flags.}")
        #expect(policy.syscalls.decision(for: 468) == .allow)
        let unnamed = try Fixture.policy(adding: "{number: 468, why: Flags.}")
        #expect(unnamed.syscalls.rules.contains { $0.name == "number 468" })
    }

    @Test("an addition may be judged by its arguments")
    func judged() throws {
        let policy = try Fixture.policy(
            adding: "{name: mq_open, why: Queues., only_when: [{arg1: 0}], errno: EPERM}"
        )
        let program = try policy.seccompProgram()
        #expect(program.action(240, 1, 0) == .allow)
        #expect(program.action(240, 1, 2) == .errno(1))
    }

    @Test(
        "an addition that would open a hole is refused, with the reason",
        arguments: [
            (
                "{name: bpf, why: W.}",
                "bpf is never allowed: They run code of the job's inside the kernel, or watch the"
                    + " kernel at work; remove it here"
            ),
            (
                "{number: 425, why: W.}",
                "io_uring_setup is never allowed: It makes calls that no filter sees; runtimes fall"
                    + " back to epoll on ENOSYS; remove it here"
            ),
            (
                "{name: open_tree_attr, number: 467, why: W.}",
                "open_tree_attr is never allowed: What a job sees of the file system is decided"
                    + " before it starts; remove it here"
            ),
            (
                "{name: clone, why: W.}",
                "clone is judged by its arguments in code: A thread is a clone; one with a new"
                    + " namespace is a way to privileges inside it; remove it here"
            ),
            (
                "{name: unshare, why: W.}",
                "unshare is refused in code: Inside a user namespace of its own a job has"
                    + " privileges and reaches more of the kernel; remove it here"
            ),
            ("{name: read, why: W.}", "read is allowed already, in code; remove it here"),
            (
                "{name: raed, why: W.}",
                "libseccomp knows no system call \"raed\";"
                    + " correct the name, or write its number beside it"
            ),
            (
                "{name: openat2, number: 438, why: W.}",
                "\"openat2\" is number 437; correct or remove the number"
            ),
        ]
    )
    func refused(_ addition: String, _ error: String) {
        #expect(
            refusal { try Fixture.policy(adding: addition) }
                == "sample.yaml:24: syscalls.allow[0]: \(error)"
        )
    }

    @Test(
        "a malformed addition is refused",
        arguments: [
            ("{name: mq_open}", ".why: is missing; add it, for nothing has a default"),
            ("{name: mq_open, why: \"\"}", ".why: is blank; write a sentence"),
            ("{why: W.}", ": says no call; write its name, or its number"),
            (
                "{number: 240, why: W.}",
                ".number: \"240\" is no number that every architecture shares;"
                    + " write the call's name, or a number of 424 or more"
            ),
            ("mq_open", ": is no section; write \"key: value\" lines below it"),
            (
                "{name: mq_open, why: W., only_when: [{arg6: 1}], errno: EPERM}",
                ".only_when[0].arg6: is an unknown key; remove it, or write one of:"
                    + " arg0, arg1, arg2, arg3, arg4, arg5"
            ),
            (
                "{name: mq_open, why: W., only_when: [{arg0: {mask: 1, equals: 2}}], errno: EPERM}",
                ".only_when[0].arg0: can never hold, or always does; put the value inside the mask"
            ),
            (
                "{name: mq_open, why: W., only_when: [{arg0: 0x100000000}], errno: EPERM}",
                ".only_when[0].arg0: \"0x100000000\" is no 32-bit number; write such as 16 or 0x10"
            ),
            (
                "{name: mq_open, why: W., only_when: [{arg0: [1, 1]}], errno: EPERM}",
                ".only_when[0].arg0: is no list of values; write 1 to 16 different ones"
            ),
            (
                "{name: mq_open, why: W., only_when: [], errno: EPERM}",
                ".only_when: matches nothing; write at least one, such as {arg0: 1}"
            ),
            (
                "{name: mq_open, why: W., only_when: [{arg0: 1}]}",
                ".errno: is missing; add it, for nothing has a default"
            ),
            (
                "{name: mq_open, why: W., only_when: [{arg0: 1}], errno: EIO}",
                ".errno: \"EIO\" is no error of ours;"
                    + " write one of: EPERM, ENOSYS, EAFNOSUPPORT, EINVAL, ENOMEM"
            ),
            (
                "{name: mq_open, why: W., errno: EPERM}",
                ".errno: stands without only_when or except_when;"
                    + " remove it, or add one of the two"
            ),
        ]
    )
    func malformed(_ addition: String, _ error: String) {
        #expect(
            refusal { try Fixture.policy(adding: addition) }
                == "sample.yaml:24: syscalls.allow[0]\(error)"
        )
    }

    @Test("a base list that does not exist is refused with the names of those that do")
    func unknownBase() throws {
        let yaml = Fixture.yaml("base: code", "base: core")
        try Fixture.withDirectory(["sample.yaml": yaml]) { directory in
            #expect(
                refusal { try ProfileStore(directory: directory) }
                    == "\(directory)/sample.yaml:23: syscalls.base: there is no list \"core\";"
                    + " write one of: code"
            )
        }
    }

    /// A list with this one group, instead of a shipped one.
    @Test(
        "a list that contradicts itself is refused",
        arguments: [
            (
                "never", "allow: [read]",
                "[0].allow[0]: is not refused; move it to a group that refuses"
            ),
            ("code", "", "[0]: must either allow or refuse; write one of the two"),
            (
                "code", "allow: [read], refuse: [write], errno: EPERM",
                "[0]: must either allow or refuse; write one of the two"
            ),
            (
                "code", "refuse: [write]",
                "[0].errno: is missing; add it, for nothing has a default"
            ),
            (
                "code",
                "refuse: [{name: write, only_when: [{arg0: 1}], errno: EPERM}], errno: EPERM",
                "[0].refuse[0]: has conditions where all is refused; move it to a group that allows"
            ),
            (
                "code", "allow: [read, read]",
                "[0].allow[1]: read is allowed already, in code; remove it here"
            ),
            (
                "code", "allow: [mount]",
                "[0].allow[0]: mount is never allowed: What a job sees of the file system is"
                    + " decided before it starts; remove it here"
            ),
        ]
    )
    func contradiction(_ list: String, _ group: String, _ error: String) throws {
        let yaml = "name: \(list)\ndescription: D.\ngroups: [{name: g, why: W., \(group)}]\n"
        let files = ["syscalls/\(list).yaml": yaml, "sample.yaml": Fixture.yaml]
        try Fixture.withDirectory(files) { directory in
            #expect(
                refusal { try ProfileStore(directory: directory) }
                    == "\(directory)/syscalls/\(list).yaml:3: groups\(error)"
            )
        }
    }

    @Test("the lists hold on aarch64, which lacks the old calls")
    func otherArchitecture() throws {
        let policy = try Fixture.policy("code", for: .aarch64)
        #expect(!policy.syscalls.rules.contains { $0.name == "open" })
        #expect(policy.syscalls.rules.contains { $0.name == "openat" && $0.number == 56 })
        let program = try policy.seccompProgram()
        #expect(
            program.evaluate(
                SeccompCall(number: 56, architecture: Architecture.aarch64.rawValue)
            ) == .allow
        )
        #expect(program.action(56) == .killProcess)
    }
}
