// SPDX-License-Identifier: Apache-2.0
import Policy
import Testing

@Suite struct TighteningTests {
    /// A request, and what it must come to: an error, or `nil` when it is granted.
    struct Request: CustomTestStringConvertible {
        let testDescription: String
        let tightening: Tightening
        let error: String?

        init(_ description: String, error: String? = nil, _ ask: (inout Tightening) -> Void) {
            testDescription = description
            var tightening = Tightening()
            ask(&tightening)
            self.tightening = tightening
            self.error = error
        }
    }

    @Test("a request that asks for nothing changes nothing")
    func nothing() throws {
        let policy = try Fixture.policy("code")
        #expect(try policy.tightened(by: Tightening()) == policy)
    }

    @Test("a smaller limit is granted, and only it changes")
    func smaller() throws {
        let policy = try Fixture.policy("code")
        var tightening = Tightening()
        tightening.wallTime = .seconds(5)
        tightening.memoryBytes = 64 << 20
        let tight = try policy.tightened(by: tightening)
        #expect(tight.limits.wallTime == .seconds(5))
        #expect(tight.limits.memoryBytes == 64 << 20)
        #expect(tight.limits.pids == policy.limits.pids)
        #expect(tight.syscalls == policy.syscalls)
    }

    @Test(
        "a request can tighten and never loosen",
        arguments: [
            Request("equal memory") { $0.memoryBytes = 512 << 20 },
            Request(
                "a byte more memory",
                error: "memory: 536870913B was asked for, and a request can only tighten:"
                    + " the profile allows 512MiB"
            ) { $0.memoryBytes = 512 << 20 + 1 },
            Request(
                "no memory",
                error: "memory: zero was asked for; ask for at least 16MiB"
            ) { $0.memoryBytes = 0 },
            Request(
                "too little memory",
                error: "memory: 1MiB was asked for; ask for at least 16MiB"
            ) { $0.memoryBytes = 1 << 20 },
            Request("no swap where there is none") { $0.swapBytes = 0 },
            Request(
                "swap where there is none",
                error: "swap: 1B was asked for, and a request can only tighten:"
                    + " the profile allows 0"
            ) { $0.swapBytes = 1 },
            Request(
                "more processes",
                error: "pids: 129 was asked for, and a request can only tighten:"
                    + " the profile allows 128"
            ) { $0.pids = 129 },
            Request(
                "more CPU",
                error: "cpu: 1.001 was asked for, and a request can only tighten:"
                    + " the profile allows 1"
            ) { $0.cpuMillicores = 1001 },
            Request(
                "more CPU time",
                error: "cpu_time: 61s was asked for, and a request can only tighten:"
                    + " the profile allows 1min"
            ) { $0.cpuTime = .seconds(61) },
            Request(
                "more wall time",
                error: "wall_time: 121s was asked for, and a request can only tighten:"
                    + " the profile allows 2min"
            ) { $0.wallTime = .seconds(121) },
            Request(
                "a time beyond counting",
                error: "wall_time: 18446744073709551615ms was asked for, and a request can only"
                    + " tighten: the profile allows 2min"
            ) { $0.wallTime = .seconds(Int64.max) },
            Request(
                "negative time",
                error: "wall_time: zero was asked for; ask for at least 100ms"
            ) { $0.wallTime = .seconds(-1) },
            Request(
                "more workspace",
                error: "workspace: 1GiB was asked for, and a request can only tighten:"
                    + " the profile allows 256MiB"
            ) { $0.workspaceBytes = 1 << 30 },
            Request(
                "more output",
                error: "output: 2MiB was asked for, and a request can only tighten:"
                    + " the profile allows 1MiB"
            ) { $0.outputBytes = 2 << 20 },
            Request(
                "no artifacts",
                error: "artifact_count: zero was asked for; ask for at least 1"
            ) { $0.artifactCount = 0 },
        ]
    )
    func requests(_ request: Request) throws {
        let policy = try Fixture.policy("code")
        let text = refusal { try policy.tightened(by: request.tightening) }
        #expect(text == request.error ?? "nothing was refused")
    }

    @Test("every limit is held", arguments: Limit.allCases)
    func everyLimit(_ limit: Limit) throws {
        let policy = try Fixture.policy("code")
        let more = Tightening.asking(policy.limits[limit] + 1, of: limit)
        #expect(
            throws: PolicyError.loosened(
                limit,
                asked: policy.limits[limit] + 1,
                allowed: policy.limits[limit]
            )
        ) { try policy.tightened(by: more) }
    }
}

extension Tightening {
    /// Asks for `value`, in its unit, of one limit.
    static func asking(_ value: UInt64, of limit: Limit) -> Tightening {
        var tightening = Tightening()
        switch limit {
        case .memory: tightening.memoryBytes = value
        case .swap: tightening.swapBytes = value
        case .pids: tightening.pids = UInt32(value)
        case .cpu: tightening.cpuMillicores = UInt32(value)
        case .cpuTime: tightening.cpuTime = .milliseconds(value)
        case .wallTime: tightening.wallTime = .milliseconds(value)
        case .workspace: tightening.workspaceBytes = value
        case .workspaceInodes: tightening.workspaceInodes = value
        case .sharedMemory: tightening.sharedMemoryBytes = value
        case .output: tightening.outputBytes = value
        case .outputTotal: tightening.outputTotalBytes = value
        case .artifactBytes: tightening.artifactBytes = value
        case .artifactCount: tightening.artifactCount = UInt32(value)
        case .openFiles: tightening.openFiles = UInt32(value)
        case .inputBytes: tightening.inputBytes = value
        }
        return tightening
    }
}
