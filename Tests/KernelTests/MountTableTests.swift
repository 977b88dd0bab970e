// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Kernel

@Suite("The mount table")
struct MountTableTests {
    private static let line =
        "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 shared:7 - ext3 /dev/root rw,errors=continue"

    @Test("a line gives root, target, options, propagation, type and super options")
    func parts() throws {
        let mount = try #require(Mount(line: Self.line[...]))
        #expect(mount.root == "/mnt1")
        #expect(mount.target == "/mnt2")
        #expect(mount.options == ["rw", "noatime"])
        #expect(mount.propagation == ["master:1", "shared:7"])
        #expect(mount.type == "ext3")
        #expect(mount.superOptions == ["rw", "errors=continue"])
    }

    @Test("a mount that nobody shares has no propagation")
    func unshared() throws {
        let mount = try #require(Mount(line: "1 0 0:5 / /w rw - tmpfs tmpfs rw,size=4k"[...]))
        #expect(mount.propagation.isEmpty)
        #expect(mount.superOptions == ["rw", "size=4k"])
    }

    @Test(
        "what is no line of mountinfo is left out",
        arguments: [
            "", " ", "36 35 98:0 / / rw", "36 35 98:0 / / rw - ext4", "a b c d e f g h i j k",
            "- - - - - - - - - - -",
        ]
    )
    func malformed(line: String) {
        #expect(Mount(line: line[...]) == nil)
    }

    @Test("the topmost mount of a path is the last one made")
    func topmost() {
        let table = MountTable(
            text: """
                1 0 0:5 / /w rw - tmpfs tmpfs rw,size=4k
                2 1 0:6 / /w ro - proc proc rw
                3 1 0:7 / /w/below rw - tmpfs tmpfs rw
                """
        )
        #expect(table.mounts.count == 3)
        #expect(table.top(at: "/w")?.type == "proc")
        #expect(table.top(at: "/w/") == nil)
        #expect(table.top(at: "/elsewhere") == nil)
    }

    @Test("a v1 controller is found where its hierarchy is mounted, and a hybrid's v2 is none")
    func hybrid() {
        let table = MountTable(
            text: """
                1 0 0:5 / /c/memory rw - cgroup cgroup rw,memory
                2 0 0:6 / /c/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
                3 0 0:7 / /c/unified rw - cgroup2 cgroup2 rw
                """
        )
        #expect(table.cgroupV1(controller: "cpuacct") == "/c/cpu,cpuacct")
        #expect(table.cgroupV1(controller: "pids") == nil)
        #expect(table.cgroupV2 == nil)
    }

    @Test("without v1 the one v2 hierarchy is it")
    func unified() {
        let table = MountTable(text: "3 0 0:7 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate")
        #expect(table.cgroupV2 == "/sys/fs/cgroup")
    }

    @Test("this process's own table has a root")
    func own() throws {
        #expect(try MountTable().top(at: "/") != nil)
    }
}
