// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Spawner

@Suite("Small parts")
struct SmallPartsTests {
    @Test(
        "a list of CPUs is written in the kernel's words",
        arguments: [
            ([], ""), ([0], "0"), ([0, 1], "0-1"), ([0, 1, 2, 5], "0-2,5"),
            ([3, 5, 7, 8, 9], "3,5,7-9"),
            (Array(0..<1024), "0-1023"),
        ]
    )
    func cpuList(cpus: [Int], text: String) {
        #expect(CPUList.text(cpus) == text)
    }

    @Test("attempt ids sort by age, have 32 digits, and are never the same")
    func attemptIDs() {
        let times: [UInt64] = [0, 1, 15, 16, 1_700_000_000_000, 1_700_000_000_001, 1 << 47]
        let ids = times.map { AttemptID.make(milliseconds: $0).description }
        #expect(ids == ids.sorted())
        #expect(ids.allSatisfy { $0.count == 32 && $0.allSatisfy(\.isHexDigit) })
        let same = (0..<1000).map { _ in AttemptID.make(milliseconds: 7).description }
        #expect(Set(same).count == 1000)
    }

    @Test("no host process, and no other sandbox, has the ids of a slot")
    func slots() {
        var ids: Set<UInt32> = [0]
        for number in UInt32(0)..<100 {
            let slot = SubordinateIDs.Slot(number: number)
            #expect(ids.insert(slot.initID).inserted)
            #expect(ids.insert(slot.jobID).inserted)
        }
    }

    @Test("every verdict has a word of its own")
    func words() {
        let all: [Verdict] = [
            .ok, .exit(1), .signal(1), .oom, .wallTime, .cpuTime, .pids, .output, .disk, .seccomp,
            .cancelled, .engineError,
        ]
        #expect(Set(all.map(\.word)).count == all.count)
    }
}
