// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import Kernel

/// A directory that looks like the hierarchy of cgroup v2, where the host may have none.
private struct FakeHierarchy: ~Copyable {
    let path = FileManager.default.temporaryDirectory.path + "/sbx-" + UUID().uuidString.prefix(8)

    /// Makes a cgroup with these processes.
    func make(_ name: String, _ processes: [Int32]) throws {
        let place = path + name
        try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
        let files = [
            "cgroup.procs": processes.map { "\($0)\n" }.joined(), "memory.events": "oom_kill 0\n",
            "pids.events": "max 0\n", "cpu.stat": "usage_usec 1\n", "cgroup.kill": "",
        ]
        for (file, text) in files {
            try Data(text.utf8).write(to: URL(filePath: place + "/" + file))
        }
    }

    deinit {
        // What is left in the temporary directory harms no other test.
        try? FileManager.default.removeItem(atPath: path)
    }
}

@Suite("The cgroup of another engine's container")
struct EngineCgroupTests {
    private static func refusal(
        _ path: String,
        in hierarchy: borrowing FakeHierarchy,
        of processes: Set<Int32>,
        daemon: String? = "/system.slice/sandboxd.service/daemon"
    ) -> String? {
        do throws(EngineCgroupError) {
            _ = try EngineCgroup(
                path: path,
                below: hierarchy.path,
                of: processes,
                daemon: daemon
            )
            return nil
        } catch {
            switch error {
            case .unusable(let error): return "unusable: \(error)"
            case .shared(_, let whom): return whom
            }
        }
    }

    @Test("the container's own process, and of root's its parent, may be in it")
    func own() throws {
        let hierarchy = FakeHierarchy()
        try hierarchy.make("/libpod-1", [70])
        try hierarchy.make("/docker-2", [80, 81])
        #expect(Self.refusal("/libpod-1", in: hierarchy, of: [70]) == nil)
        #expect(Self.refusal("/docker-2", in: hierarchy, of: [80, 81]) == nil)
        #expect(Self.refusal("/libpod-1", in: hierarchy, of: [70], daemon: nil) == nil)
    }

    @Test("what anybody else is in is refused, also below it")
    func strangers() throws {
        let hierarchy = FakeHierarchy()
        try hierarchy.make("/podman.service", [60, 70])
        try hierarchy.make("/user.slice", [70])
        try hierarchy.make("/user.slice/a", [])
        try hierarchy.make("/user.slice/a/b", [61])
        #expect(Self.refusal("/podman.service", in: hierarchy, of: [70]) == "process 60")
        #expect(Self.refusal("/user.slice", in: hierarchy, of: [70]) == "process 61")
        // A process that this one does not see.
        try hierarchy.make("/other", [0, 70])
        #expect(Self.refusal("/other", in: hierarchy, of: [70]) == "process 0")
    }

    @Test(
        "what the daemon is in is refused, whoever else is",
        arguments: [
            "/system.slice", "/system.slice/sandboxd.service",
            "/system.slice/sandboxd.service/daemon",
        ]
    )
    func daemon(path: String) throws {
        let hierarchy = FakeHierarchy()
        try hierarchy.make(path, [70])
        #expect(Self.refusal(path, in: hierarchy, of: [70]) == "the daemon")
    }

    @Test("a name that only begins like the daemon's is another's")
    func prefix() throws {
        let hierarchy = FakeHierarchy()
        for path in ["/system", "/system.slice/sandboxd", "/system.slice/sandboxd.service/d"] {
            try hierarchy.make(path, [70])
            #expect(Self.refusal(path, in: hierarchy, of: [70]) == nil, "\(path)")
        }
    }

    @Test("one that is not there cannot be used")
    func missing() {
        let hierarchy = FakeHierarchy()
        #expect(Self.refusal("/gone", in: hierarchy, of: [70])?.hasPrefix("unusable") == true)
    }
}
