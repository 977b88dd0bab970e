// SPDX-License-Identifier: Apache-2.0
import Testing

/// A job whose figures do not depend on who made its sandbox.
struct SameFigures: Sendable, CustomTestStringConvertible {
    let fact: String
    let run: Run
    var testDescription: String { fact }

    private static let hold = "x = bytearray(b'x') * (%d << 20); import time; time.sleep(0.1)"
    private static let burn = "import time\nwhile time.process_time() < %s: pass"
    private static let half = burn.replacing("%s", with: "0.6")

    static let all: [SameFigures] = [
        SameFigures(fact: "it does nothing", run: Run(["true"])),
        SameFigures(fact: "it fails", run: .shell("exit 7")),
        SameFigures(fact: "it is killed", run: .shell("kill -9 $$")),
        SameFigures(fact: "it is not there", run: Run(["no-such-program"])),
        SameFigures(fact: "it holds 64 MiB", run: .python(hold.replacing("%d", with: "64"))),
        SameFigures(fact: "it holds 200 MiB", run: .python(hold.replacing("%d", with: "200"))),
        SameFigures(
            fact: "it computes for a second",
            run: .python(burn.replacing("%s", with: "1"))
        ),
        SameFigures(
            fact: "two of its processes compute",
            run: .shell("python3 -c '\(half)' & python3 -c '\(half)'; wait")
        ),
        SameFigures(
            fact: "it runs out of memory",
            run: .python("x = []\nwhile True: x.append(bytearray(b'x') * (4 << 20))")
                .limited(["memory_bytes": 100_663_296])
        ),
        SameFigures(
            fact: "it runs out of processor time",
            run: .python("while True: pass").limited(["cpu_time_ms": 1000])
        ),
        SameFigures(
            fact: "it runs into its deadline",
            run: Run(["sleep", "60"]).limited(["wall_time_ms": 700])
        ),
        SameFigures(
            fact: "it fills its workspace",
            run: .shell("head -c 99999999 /dev/zero > f").limited(["workspace_bytes": 33_554_432])
        ),
    ]
}

@Suite("The same job on both engines", .containerEngine, .alone, .serialized)
struct SameFiguresTests {
    @Test(
        "has the same verdict, and the same processor time and memory",
        arguments: SameFigures.all
    )
    func same(_ job: SameFigures) throws {
        let daemon = try TestDaemon([
            "--profiles", try Installation.shared.get().shippedProfiles,
        ])
        defer { daemon.stop() }
        try daemon.waitUntilEngineIsReady()
        let api = daemon.api
        var least: [String: (native: Double, docker: Double)] = [:]
        // What a busy machine adds, it adds to some runs: the least of a few is what the job takes.
        for _ in 1...10 {
            let native = try api.run(job.run.on("native"))
            let docker = try api.run(job.run.on("docker"))
            #expect(native.verdict == docker.verdict, "\(docker.json)")
            #expect(native.exitCode == docker.exitCode)
            #expect(native.signal == docker.signal)
            for name in Self.grains.keys {
                let now = (native.usage(name) ?? 0, docker.usage(name) ?? 0)
                let before = least[name] ?? now
                least[name] = (min(before.0, now.0), min(before.1, now.1))
            }
            if least.allSatisfy(Self.areSame) { return }
        }
        Issue.record("\(least)")
    }

    /// What a start may cost more or less.
    private static let grains = ["cpu_ms": 40.0, "memory_peak_bytes": 3_000_000.0]

    /// Within a tenth, or a grain.
    private static func areSame(_ name: String, _ figures: (native: Double, docker: Double)) -> Bool
    {
        abs(figures.native - figures.docker) <= max(figures.native / 10, grains[name] ?? 0)
    }
}

extension Run {
    /// The same by this engine.
    fileprivate func on(_ engine: String) -> Run {
        var copy = self
        if case .object(var members) = json {
            members["engine"] = .string(engine)
            copy.json = .object(members)
        }
        return copy
    }
}
