// SPDX-License-Identifier: Apache-2.0
import Kernel
import Tasks
import Testing

@Suite("Which workers beat no more, by one's own clock") struct BeatWatchTests {
    /// What is seen at some second, and who is silent then. Leases last for ten seconds.
    struct Row: Sendable, CustomStringConvertible {
        let description: String
        let looks: [(second: Int, beats: [Int: Int], silent: [Int])]
    }

    private static let start = Instant.now

    static let rows: [Row] = [
        Row(description: "the first look knows nothing", looks: [(1000, [1: 7], [])]),
        Row(
            description: "one that beats is never silent",
            looks: [(0, [1: 1], []), (15, [1: 2], []), (30, [1: 3], []), (45, [1: 4], [])]
        ),
        Row(
            description: "one that does not is silent after twice its time, and stays it",
            looks: [
                (0, [1: 1], []), (19, [1: 1], []), (20, [1: 1], []), (21, [1: 1], [1]),
                (60, [1: 1], [1]),
            ]
        ),
        Row(
            description: "one that beats again is alive again",
            looks: [(0, [1: 1], []), (30, [1: 1], [1]), (31, [1: 2], []), (50, [1: 2], [])]
        ),
        Row(
            description: "who has not looked for long has seen nothing meanwhile",
            looks: [(0, [1: 1], []), (9000, [1: 4000], []), (9001, [1: 4000], [])]
        ),
        Row(
            description: "one that is over is forgotten",
            looks: [(0, [1: 1], []), (10, [:], []), (30, [1: 1], []), (45, [1: 1], [])]
        ),
        Row(
            description: "several, each by himself, in order",
            looks: [
                (0, [3: 1, 2: 1, 1: 1], []), (10, [3: 1, 2: 2, 1: 1], []),
                (25, [3: 1, 2: 2, 1: 1], [1, 3]),
            ]
        ),
    ]

    @Test("each look answers who is silent", arguments: rows)
    func looks(row: Row) {
        var watch = BeatWatch()
        for (second, beats, silent) in row.looks {
            let pulses = beats.mapValues { BeatWatch.Pulse(beats: $0, timeToLive: .seconds(10)) }
            let now = Self.start.advanced(by: .seconds(second))
            let expected = silent.map { BeatWatch.Silence(worker: $0, beats: beats[$0] ?? 0) }
            #expect(watch.look(pulses, at: now) == expected, "second \(second)")
        }
    }

    @Test("where the database says that a lease is past, its time by one's own clock is enough")
    func past() {
        var watch = BeatWatch()
        let silence = BeatWatch.Silence(worker: 1, beats: 1)
        for (second, expected) in [(0, []), (9, []), (10, []), (11, [silence])] {
            let pulse = BeatWatch.Pulse(beats: 1, timeToLive: .seconds(10), isPast: true)
            let now = Self.start.advanced(by: .seconds(second))
            #expect(watch.look([1: pulse], at: now) == expected, "second \(second)")
        }
    }

    @Test("each worker is waited for by its own lease's time")
    func ownTime() {
        var watch = BeatWatch()
        let pulses = [
            1: BeatWatch.Pulse(beats: 1, timeToLive: .seconds(2)),
            2: BeatWatch.Pulse(beats: 1, timeToLive: .seconds(60)),
        ]
        #expect(watch.look(pulses, at: Self.start) == [])
        let silent = watch.look(pulses, at: Self.start.advanced(by: .seconds(100)))
        #expect(silent.map(\.worker) == [1])
        let later = watch.look(pulses, at: Self.start.advanced(by: .seconds(121)))
        #expect(later.map(\.worker) == [1, 2])
    }
}
