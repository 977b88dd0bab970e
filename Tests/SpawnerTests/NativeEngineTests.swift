// SPDX-License-Identifier: Apache-2.0
import Kernel
import SystemPackage
import Testing

@testable import Spawner

/// A place without cgroups, for an engine that makes none.
private struct NoCgroups: CgroupTree {
    let version = 1
    let roots: [String] = []

    func make(_ name: String) throws(CgroupError) -> any Cgroup {
        throw .noController("any")
    }
    func inventory() -> Set<String> { [] }
    func sweep(_ name: String) throws(CgroupError) {}
    func remove() {}
}

@Suite("The native engine", .timeLimit(.minutes(5)))
struct NativeEngineTests {
    /// A sandbox under somebody's ids would share his kernel quotas, and could be killed by him.
    @Test("the ids of an init that outlives its run come back when it dies, and once")
    func outliving() async throws {
        let range = SubordinateIDs.Range(start: 100_000, count: 10)
        let ids = SubordinateIDs(users: range, groups: range)
        let engine = NativeEngine(
            loop: try EventLoop(),
            program: try InitProgram(path: "/bin/true"),
            cgroups: NoCgroups(),
            ids: ids,
            sparesPerImage: 0
        )
        var cell = try await PuppetEngine().cell()
        cell.slot = try ids.take()
        let (death, life) = try Descriptor.pipe()
        await engine.abandon(cell, until: death)
        #expect(ids.available == 4)
        _ = try life.write([0])
        #expect(await holds { ids.available == 5 })
        // A second event would have been handled by now.
        _ = await engine.inventory
        #expect(ids.available == 5)
    }
}
