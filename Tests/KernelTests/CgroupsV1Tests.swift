// SPDX-License-Identifier: Apache-2.0
import Glibc
import SystemPackage
import Testing

@testable import Kernel

extension Trait where Self == ConditionTrait {
    /// Needs v1 hierarchies with a directory that this process may use.
    fileprivate static var delegatedV1: Self {
        .enabled(
            "no v1 cgroups are delegated to this user: this host has v2, or was not set up"
        ) {
            guard let mount = try? MountTable().cgroupV1(controller: "memory") else { return false }
            return access(mount + "/sandboxd", W_OK) == 0
        }
    }
}

@Suite("Cgroups, version 1", .delegatedV1, .timeLimit(.minutes(5)))
struct CgroupsV1Tests {
    private static let limits = CgroupLimits(
        memoryBytes: 64 << 20,
        swapBytes: 0,
        pids: 17,
        cpuMillicores: 500
    )

    /// A tree of the test's own, gone afterwards.
    private func inTree(_ body: (CgroupsV1) throws -> Void) throws {
        let node = "test-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
        let tree = try CgroupsV1(node: node, mounts: MountTable())
        defer {
            for name in tree.inventory() {
                // The test has failed already when this does.
                try? tree.sweep(name)
            }
            tree.remove()
        }
        try body(tree)
        #expect(tree.roots.allSatisfy { access($0, F_OK) == 0 })
    }

    @Test("what is asked for is what the kernel says it applied")
    func applied() throws {
        try inTree { tree in
            let cgroup = try tree.make("a")
            try cgroup.apply(Self.limits)
            #expect(try cgroup.applied() == Self.limits)
            #expect(tree.inventory() == ["a"])
            #expect(try cgroup.isEmpty())
            try cgroup.remove()
            #expect(tree.inventory().isEmpty)
        }
    }

    @Test("a new cgroup has counted nothing")
    func counters() throws {
        try inTree { tree in
            let cgroup = try tree.make("a")
            let counters = try cgroup.counters()
            #expect(counters.cpuMicroseconds == 0)
            #expect(counters.oomKills == 0 && counters.pidsLimitHits == 0)
            try cgroup.remove()
        }
    }

    @Test("a second cgroup of one name is refused, and the first one stays as it is")
    func twice() throws {
        try inTree { tree in
            let cgroup = try tree.make("a")
            try cgroup.apply(Self.limits)
            #expect(throws: CgroupError.self) { try tree.make("a") }
            // Undoing the second must not have taken the first away.
            #expect(tree.inventory() == ["a"])
            #expect(try cgroup.applied() == Self.limits)
            try cgroup.remove()
        }
    }

    @Test("a process is inside when each hierarchy says so")
    func membership() throws {
        try inTree { tree in
            let cgroup = try tree.make("abc")
            let inside = "4:memory:/x/abc\n3:pids:/x/abc\n2:cpu,cpuacct:/x/abc\n0::/\n"
            #expect(cgroup.contains(processCgroups: Array(inside.utf8)))
            let partly = "4:memory:/x/abc\n3:pids:/\n2:cpu,cpuacct:/x/abc\n"
            #expect(!cgroup.contains(processCgroups: Array(partly.utf8)))
            let other = inside.split(separator: "\n").map { $0 + "d" }.joined(separator: "\n")
            #expect(!cgroup.contains(processCgroups: Array(other.utf8)))
            try cgroup.remove()
        }
    }

    @Test("removing what is gone is no error")
    func removedTwice() throws {
        try inTree { tree in
            let cgroup = try tree.make("a")
            try cgroup.remove()
            try cgroup.remove()
            try tree.sweep("a")
        }
    }
}
