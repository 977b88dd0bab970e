// SPDX-License-Identifier: Apache-2.0
import Policy
import Testing

@Suite struct QuantityTests {
    @Test(
        "a quantity is read in any of its units",
        arguments: [
            ("memory: 512MiB", "memory: 1GiB", Limit.memory, UInt64(1) << 30),
            ("memory: 512MiB", "memory: 1 GiB", .memory, 1 << 30),
            ("memory: 512MiB", "memory: 20000000B", .memory, 20_000_000),
            ("memory: 512MiB", "memory: 32768KiB", .memory, 32 << 20),
            ("memory: 512MiB", "memory: \"64MiB\"", .memory, 64 << 20),
            ("swap: 0", "swap: 0MiB", .swap, 0),
            ("cpu: 1.5", "cpu: 0.25", .cpu, 250),
            ("cpu: 1.5", "cpu: 2", .cpu, 2000),
            ("cpu: 1.5", "cpu: 1.505", .cpu, 1505),
            ("wall_time: 2min", "wall_time: 1500ms", .wallTime, 1500),
            ("wall_time: 2min", "wall_time: 1h", .wallTime, 3_600_000),
        ]
    )
    func units(_ piece: String, _ replacement: String, _ limit: Limit, _ value: UInt64) throws {
        let yaml = Fixture.yaml(piece, replacement)
        #expect(try Profile(yaml: yaml, file: "sample.yaml").limits[limit] == value)
    }

    @Test(
        "a quantity is written as a person would",
        arguments: [
            (Limit.memory, UInt64(512) << 20, "512MiB"), (.memory, 1536 << 20, "1536MiB"),
            (.memory, 1 << 30, "1GiB"), (.memory, 1001, "1001B"), (.swap, 0, "0"),
            (.cpu, 1500, "1.5"), (.cpu, 1000, "1"), (.cpu, 10, "0.01"), (.cpu, 1005, "1.005"),
            (.wallTime, 90_000, "90s"), (.wallTime, 120_000, "2min"), (.wallTime, 250, "250ms"),
            (.pids, 128, "128"),
        ]
    )
    func written(_ limit: Limit, _ value: UInt64, _ text: String) {
        #expect(limit.written(value) == text)
    }

    @Test(
        "a job sees as many CPUs as its share can keep busy",
        arguments: [
            (UInt32(10), 1), (1000, 1), (1001, 2), (1500, 2), (4000, 4),
        ]
    )
    func visibleCPUs(_ millicores: UInt32, _ count: Int) throws {
        var limits = try Fixture.policy("code").limits
        limits.cpuMillicores = millicores
        #expect(limits.visibleCPUs == count)
    }

    @Test("capabilities have the kernel's bits")
    func capabilities() {
        #expect(CapabilitySet(name: "cap_net_raw")?.rawValue == 1 << 13)
        #expect(CapabilitySet(name: "cap_nothing") == nil)
        #expect(CapabilitySet(rawValue: 1 << 21 | 1).names == ["cap_chown", "cap_sys_admin"])
        #expect(CapabilitySet(rawValue: 1 << 63).names == ["cap_63"])
    }
}
