// SPDX-License-Identifier: Apache-2.0
import Foundation
import Policy
import Testing

/// Namespaces inside of a sandbox: only for a profile that says so, and only those that it says.
@Suite struct NestedNamespacesTests {
    /// Flags of clone(2) and unshare(2).
    private enum Flag {
        static let mount: UInt64 = 0x0002_0000
        static let user: UInt64 = 0x1000_0000
        static let pid: UInt64 = 0x2000_0000
        static let network: UInt64 = 0x4000_0000
        static let others: [UInt64] = [0x0200_0000, 0x0400_0000, 0x0800_0000, 0x80]
        static let childEnded: UInt64 = 17
    }

    private static let refused = SeccompAction.errno(1)
    private static let nesting = """
        nested_namespaces: {allow: [user, pid, network], why: Chromium.}
        syscalls:
          base: browser
        """

    /// The sample profile with the list of system calls that lets nested namespaces through.
    private func load(_ replacement: String, lists: [String: String] = [:]) throws -> Policy {
        let yaml = Fixture.yaml("syscalls:\n  base: code", replacement)
        let shipped = try String(
            contentsOfFile: Fixture.directory + "/syscalls/browser.yaml",
            encoding: .utf8
        )
        let files = ["sample.yaml": yaml, "syscalls/browser.yaml": shipped].merging(lists) { $1 }
        var policy: Policy?
        try Fixture.withDirectory(files) { directory in
            policy = try ProfileStore(directory: directory).policy(named: "sample")
        }
        return try #require(policy)
    }

    @Test("only the browser profile has them, and says why")
    func shipped() throws {
        for name in Fixture.profiles {
            let nested = try Fixture.policy(name).nestedNamespaces
            #expect((nested != nil) == (name == "browser"))
        }
        let nested = try #require(try Fixture.policy("browser").nestedNamespaces)
        #expect(nested.kinds == [.user, .pid, .network])
        #expect(nested.why.contains("renderer"))
    }

    @Test("clone makes what Chromium makes, and no other set of namespaces")
    func clone() throws {
        let program = try Fixture.policy("browser").seccompProgram()
        let made = [0, Flag.user, Flag.pid, Flag.user | Flag.pid | Flag.network]
        for bits in UInt64(0)..<8 {
            let flags = bits << 28
            let expected = made.contains(flags) ? SeccompAction.allow : Self.refused
            #expect(program.action(56, flags | Flag.childEnded) == expected, "\(flags)")
            for other in Flag.others + [Flag.mount] {
                let answer = program.action(56, flags | other | Flag.childEnded)
                #expect(answer == Self.refused, "\(flags) and \(other)")
            }
        }
        #expect(program.action(56, Flag.user | 31) == Self.refused, "SIGSYS as the exit signal")
        #expect(program.action(435) == .errno(38), "clone3")
    }

    @Test("unshare makes a user namespace and nothing else")
    func unshare() throws {
        let program = try Fixture.policy("browser").seccompProgram()
        #expect(program.action(272, Flag.user) == .allow)
        for flags in [
            0, Flag.pid, Flag.network, Flag.mount, Flag.user | Flag.mount, Flag.user | Flag.pid,
        ] + Flag.others {
            #expect(program.action(272, flags) == Self.refused, "\(flags)")
        }
    }

    @Test("what privileges in a namespace would reach stays shut")
    func shut() throws {
        let program = try Fixture.policy("browser").seccompProgram()
        // mount, umount2, pivot_root, setns, open_tree, move_mount, fsopen, fsmount, mount_setattr,
        // ptrace, bpf, sethostname, reboot, userfaultfd, keyctl, perf_event_open
        for number: UInt32 in [
            165, 166, 155, 308, 428, 429, 430, 432, 442, 101, 321, 170, 169, 323, 250, 298,
        ] {
            #expect(program.action(number) == Self.refused, "\(number)")
        }
        #expect(program.action(41, 16, 3, 0) == .errno(97), "a netlink socket")
        #expect(program.action(41, 2, 3, 255) == .errno(97), "a raw socket")
        #expect(program.action(54, 3, 0, 64) == Self.refused, "tables of packet filters")
        #expect(program.action(54, 3, 41, 64) == Self.refused, "the same for IPv6")
        #expect(program.action(54, 3, 1, 9) == .allow, "SO_KEEPALIVE")
        // TIOCSTI, SIOCSIFFLAGS, SIOCSIFVLAN, SIOCBRADDBR, SIOCDEVPRIVATE, SIOCETHTOOL
        for request: UInt64 in [0x5412, 0x8914, 0x8983, 0x89a0, 0x89f0, 0x8946, 0xf_0000_8914] {
            #expect(program.action(16, 3, request) == Self.refused, "\(request)")
        }
        // TCGETS, FIONREAD, SIOCGIFCONF, SIOCGIFFLAGS
        for request: UInt64 in [0x5401, 0x541b, 0x8912, 0x8913] {
            #expect(program.action(16, 3, request) == .allow, "\(request)")
        }
    }

    @Test("chroot is for profiles with nested namespaces alone")
    func chroot() throws {
        #expect(try Fixture.policy("browser").seccompProgram().action(161) == .allow)
        #expect(try Fixture.policy("code").seccompProgram().action(161) == Self.refused)
        #expect(try load(Self.nesting).seccompProgram().action(161) == .allow)
    }

    @Test(
        "a profile that says other than its list does not load",
        arguments: [
            (
                "syscalls:\n  base: browser",
                "chroot is never allowed: Only who has privileges can change its root, and a job"
                    + " has them in no namespace; remove it here"
            ),
            (
                "nested_namespaces: {allow: [user, pid], why: W.}\nsyscalls:\n  base: browser",
                "nested_namespaces: network namespaces are let through, and nested_namespaces does"
                    + " not say so; write in both what is meant"
            ),
            (
                "nested_namespaces: {allow: [user], why: W.}\nsyscalls:\n  base: code",
                "nested_namespaces: user namespaces are allowed, and the list of system calls"
                    + " refuses them; write in both what is meant"
            ),
            (
                "nested_namespaces: {allow: [pid], why: W.}\nsyscalls:\n  base: browser",
                "nested_namespaces.allow: is without user, and no other namespace can be made"
                    + " without one; add user, or remove nested_namespaces"
            ),
            (
                "nested_namespaces: {allow: [user, mount], why: W.}\nsyscalls:\n  base: browser",
                "nested_namespaces.allow[1]: \"mount\" is no namespace that a job may make, or there"
                    + " twice; write some of: user, pid, network"
            ),
            (
                "nested_namespaces: {allow: [user]}\nsyscalls:\n  base: browser",
                "nested_namespaces.why: is missing; add it, for nothing has a default"
            ),
        ]
    )
    func disagreement(_ replacement: String, _ error: String) {
        let refusal = refusal { try load(replacement) }
        #expect(refusal.hasSuffix(error), "\(refusal)")
    }

    @Test(
        "a list that lets namespaces through slips past nobody",
        arguments: [
            ("allow: [clone]", "user namespaces are let through"),
            ("allow: [unshare]", "user namespaces are let through"),
            (
                "allow: [{name: unshare, except_when: [{arg0: 0x10000000}], errno: EPERM}]",
                "pid namespaces are let through"
            ),
            (
                "allow: [{name: unshare, only_when: [{arg0: 0x20000}], errno: EPERM}]",
                "namespaces are let through that no job may make"
            ),
            (
                "allow: [{name: unshare, only_when: [{arg0: 0x80}], errno: EPERM}]",
                "namespaces are let through that no job may make"
            ),
            (
                "allow: [{name: clone, only_when: [{arg0: {mask: 0x2000000, equals: 0x2000000}}],"
                    + " errno: EPERM}]",
                "namespaces are let through that no job may make"
            ),
        ]
    )
    func quietLists(_ group: String, _ error: String) {
        let list =
            "name: loose\ndescription: D.\nextends: code\n"
            + "groups: [{name: g, why: W., \(group)}]\n"
        let refusal = refusal {
            try load("syscalls:\n  base: loose", lists: ["syscalls/loose.yaml": list])
        }
        #expect(refusal.contains("syscalls.base: \(error)"), "\(refusal)")
    }

    @Test(
        "a list goes on from one that stands by itself",
        arguments: ["never", "none", "browser", "other"]
    )
    func unknownParent(_ parent: String) {
        let list = "name: other\ndescription: D.\nextends: \(parent)\ngroups: []\n"
        let refusal = refusal {
            try load("syscalls:\n  base: other", lists: ["syscalls/other.yaml": list])
        }
        #expect(
            refusal.contains("extends: there is no list \"\(parent)\" that stands by itself"),
            "\(refusal)"
        )
    }

    @Test("no list and no addition gets past what is never allowed", arguments: ["mount", "setns"])
    func never(_ call: String) {
        let list =
            "name: other\ndescription: D.\nextends: code\n"
            + "groups: [{name: g, why: W., allow: [\(call)]}]\n"
        let refusal = refusal {
            try load("syscalls:\n  base: other", lists: ["syscalls/other.yaml": list])
        }
        #expect(refusal.contains("\(call) is never allowed"), "\(refusal)")
    }

    @Test("a person is told, in prose and in JSON")
    func told() throws {
        let prose = PolicyProse.render(try Fixture.policy("browser"))
        #expect(prose.contains("IT MAY MAKE NAMESPACES OF ITS OWN"))
        #expect(prose.contains("kinds: user, pid, network. Chromium jails each renderer"))
        #expect(!PolicyProse.render(try Fixture.policy("code")).contains("NAMESPACES OF ITS OWN"))
        let json = try Fixture.policy("browser").json()
        #expect(json.contains("nested_namespaces"))
    }
}
