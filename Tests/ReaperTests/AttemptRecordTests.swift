// SPDX-License-Identifier: Apache-2.0
import Glibc
import Reaper
import Tasks
import Testing

@Suite("Records of attempts")
struct AttemptRecordTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let text: String
        var changed = 5_000
        /// nil: it is no record.
        let key: LeaseKey?
        var cpuMilliseconds: Int?
        var wallMilliseconds = 0
        var memoryMiBSeconds = 0
    }

    static let rows: [Row] = [
        Row(testDescription: "nothing", text: "", key: nil),
        Row(testDescription: "a line cut short", text: "12 3", key: nil),
        Row(testDescription: "words", text: "a b c\n", key: nil),
        Row(
            testDescription: "an attempt that nobody could measure",
            text: "12 3 1000\n",
            key: LeaseKey(task: 12, fence: 3)
        ),
        Row(
            testDescription: "counters of version 1, in nanoseconds",
            text: "12 3 1000\ncpuacct.usage 1500000\nmemory.max_usage_in_bytes 104857600\n",
            key: LeaseKey(task: 12, fence: 3),
            cpuMilliseconds: 2,
            wallMilliseconds: 4_000,
            memoryMiBSeconds: 400
        ),
        Row(
            testDescription: "counters of version 2, in microseconds",
            text: "7 1 4000\ncpu.stat usage_usec 2500\nmemory.peak 1048576\n",
            key: LeaseKey(task: 7, fence: 1),
            cpuMilliseconds: 3,
            wallMilliseconds: 1_000,
            memoryMiBSeconds: 1
        ),
        Row(
            testDescription: "version 1's file of the same name says something else",
            text: "7 1 4000\ncpu.stat nr_periods 9\n",
            key: LeaseKey(task: 7, fence: 1)
        ),
        Row(
            testDescription: "a clock that was set back",
            text: "7 1 9000\ncpu.stat usage_usec 1000\n",
            key: LeaseKey(task: 7, fence: 1),
            cpuMilliseconds: 1
        ),
        Row(
            testDescription: "garbage among the counters",
            text: "7 1 5000\nmemory.peak lots\n\ncpu.stat usage_usec 1000\n",
            key: LeaseKey(task: 7, fence: 1),
            cpuMilliseconds: 1
        ),
    ]

    @Test("a record tells whose it is and what to charge", arguments: rows)
    func reading(_ row: Row) {
        let record = AttemptRecord(row.text, changed: row.changed)
        #expect(record?.key == row.key)
        let completion = record?.completion
        #expect(completion?.charge.cpuMilliseconds == row.cpuMilliseconds)
        guard let completion else { return }
        #expect(completion.verdict == "lease_lost" && completion.source == .cgroup)
        #expect(completion.charge.wallMilliseconds == row.wallMilliseconds)
        #expect(completion.charge.memoryMiBSeconds == row.memoryMiBSeconds)
    }

    @Test("what an earlier daemon left is set aside, and told until it is forgotten")
    func settingAside() throws {
        var template = Array("/tmp/records-XXXXXX".utf8CString)
        let place = String(cString: try #require(mkdtemp(&template)))
        defer { #expect(rmdir(place) == 0) }
        let key = LeaseKey(task: 5, fence: 2)
        let first = try AttemptRecords(directory: place)
        try first.begin(key, cell: "cell-1")
        #expect(first.strays().isEmpty && first.lost().isEmpty)
        let second = try AttemptRecords(directory: place)
        // A new attempt has the name of the old one's cell.
        try second.begin(LeaseKey(task: 6, fence: 1), cell: "cell-1")
        let lost = second.lost()
        #expect(lost.map(\.record.key) == [key])
        #expect(second.strays() == ["lost-5-2"])
        for (_, file) in lost { second.forget(file) }
        second.end(LeaseKey(task: 6, fence: 1))
        #expect(second.lost().isEmpty && second.strays().isEmpty)
    }
}
