// SPDX-License-Identifier: Apache-2.0
import Client
import Foundation
import Testing

@Suite("Two runs held against each other")
struct ComparisonTests {
    private static let places = Comparison.Places(counted: "on the host", shadow: "in the sandbox")

    private static func observation(_ change: (inout Observation) -> Void = { _ in }) -> Observation
    {
        var seen = Observation(wallMilliseconds: 10, memoryPeakBytes: 1 << 20)
        seen.status = 0
        seen.output = .init(bytes: 3, sha256: "aa")
        seen.errorOutput = .init(bytes: 0, sha256: "bb")
        seen.artifacts = ["a": "11", "b/c": "22"]
        change(&seen)
        return seen
    }

    /// What the sandbox's side has otherwise, and the line that says so.
    private struct Row: Sendable {
        let change: @Sendable (inout Observation) -> Void
        let lines: [String]
    }

    private static let rows: [Row] = [
        Row(change: { _ in }, lines: []),
        Row(
            change: {
                $0.wallMilliseconds = 99
                $0.memoryPeakBytes = 1
            },
            lines: []
        ),
        Row(change: { $0.errorOutput?.sha256 = "other" }, lines: []),
        Row(change: { $0.output?.sha256 = nil }, lines: []),
        Row(change: { $0.artifacts = nil }, lines: []),
        Row(change: { $0.status = 1 }, lines: ["exit: 0 on the host, 1 in the sandbox"]),
        Row(
            change: {
                $0.status = nil
                $0.verdict = "oom"
            },
            lines: ["exit: 0 on the host, oom in the sandbox"]
        ),
        Row(
            change: { $0.output = .init(bytes: 4, sha256: "cc") },
            lines: ["stdout: 3 bytes on the host, 4 bytes in the sandbox, not the same"]
        ),
        Row(
            change: { $0.artifacts = ["a": "99", "d": "33"] },
            lines: [
                "artifact a: not the same", "artifact b/c: only on the host",
                "artifact d: only in the sandbox",
            ]
        ),
    ]

    @Test("what differs is said in a line each, and nothing else is")
    func differences() {
        for row in Self.rows {
            let comparison = Comparison(
                Self.observation(),
                Self.observation(row.change),
                Self.places
            )
            #expect(comparison.differences == row.lines)
        }
    }

    @Test("an observation is the same after its way through JSON")
    func json() throws {
        let seen = Self.observation { $0.verdict = "exit" }
        #expect(Observation(seen.json) == seen)
        let bare = Observation(wallMilliseconds: 1, memoryPeakBytes: 2)
        #expect(Observation(bare.json) == bare)
    }

    @Test("missed comparisons are counted by profile, taken once, and put back")
    func misses() throws {
        let directory = FileManager.default.temporaryDirectory.path + "/missed-\(UUID())"
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let misses = MissedShadows(path: directory + "/missed")
        for profile in ["code", "browser", "code", "co\nde"] { misses.note(profile: profile) }
        let taken = misses.take()
        #expect(taken.counts == ["code": 3, "browser": 1])
        #expect(misses.take().counts.isEmpty)
        taken.putBack()
        #expect(misses.take().counts == ["code": 3, "browser": 1])
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory).count == 1)
    }
}
