// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

extension Probe: CustomTestStringConvertible {
    var testDescription: String { "\(id): \(fact)" }
}

/// One at a time, and beside no other test: the oracles look at the whole host.
@Suite("Containment", .daemon, .ownDaemon, .probe, .root, .alone, .serialized)
struct ContainmentTests {
    /// The table, or why it cannot be read, which a test of its own tells.
    private static let table = Result { try ProbeTable(yaml: Host.file("Probes/probes.yaml")) }

    private static let probes: [Probe] = {
        let all = (try? table.get().probes) ?? []
        // For whoever works on one row.
        guard let only = ProcessInfo.processInfo.environment["SANDBOXD_TEST_PROBES"] else {
            return all
        }
        let wanted = only.split(separator: ",")
        return all.filter { probe in wanted.contains { probe.id.hasPrefix($0) } }
    }()

    // SAFETY: used by the tests of this serialized suite only, one after the other.
    nonisolated(unsafe) private static var shared: ProbeScene?

    private static func scene() throws -> ProbeScene {
        if let shared { return shared }
        let scene = try ProbeScene()
        shared = scene
        return scene
    }

    @Test("the table can be read, and each row proves something")
    func table() throws {
        let table = try Self.table.get()
        #expect(table.probes.count > 100)
        #expect(table.layersWithoutControl.isEmpty, "\(table.layersWithoutControl)")
    }

    @Test("each attempt is stopped, and nobody on the host notices", arguments: probes)
    func stopped(_ probe: Probe) throws {
        let scene = try Self.scene()
        try Self.skip(probe, "run", needs: probe.needs, layers: probe.without, scene)
        let daemon = try scene.daemon(without: probe.without)
        let attempt = SandboxedProbe(probe, scene, daemon)
        let watch = ProbeWatch(probe, scene, daemon)
        let outcome = try attempt.run(probe.command) { try watch.begin(probe.oracles) }
        let objections = try watch.end(outcome)
        var judge = ProbeJudgement(probe: probe, values: attempt.values)
        if let name = probe.expectation.golden {
            let golden = GoldenSweep(profile: probe.profile, name: name)
            if GoldenSweep.isRecording { try golden.record(outcome.stdout) }
            judge.golden = try golden.read()
            judge.hostSweep = try Self.sweepWithoutFilter(probe, scene)
        }
        for failure in try judge.failures(of: outcome.run) { Issue.record("\(failure)") }
        for (oracle, objection) in objections {
            Issue.record("\(oracle.rawValue): \(objection)")
        }
    }

    @Test(
        "each attempt succeeds where what stops it is missing",
        arguments: probes.filter { $0.control != nil }
    )
    func control(_ probe: Probe) throws {
        let scene = try Self.scene()
        let control = try #require(probe.control)
        try Self.skip(
            probe,
            "control",
            needs: probe.needs + control.needs + [.nativeEngine],
            layers: control.without,
            scene
        )
        var judge: ProbeJudgement
        let outcome: ProbeOutcome
        var tripped: Set<ProbeOracle> = []
        if control.onHost {
            let attempt = try HostProbe(probe, scene)
            let watch = ProbeWatch(probe, scene, try scene.daemon())
            outcome = try attempt.run(control) {
                try watch.begin(control.trips)
            } checking: {
                tripped = Set(try watch.end($0).map(\.0))
            }
            judge = ProbeJudgement(probe: probe, values: attempt.values)
        } else {
            let daemon = try scene.daemon(without: control.without)
            let attempt = SandboxedProbe(probe, scene, daemon)
            let watch = ProbeWatch(probe, scene, daemon)
            outcome = try attempt.run(control.command ?? probe.command) {
                try watch.begin(control.trips)
            }
            tripped = Set(try watch.end(outcome).map(\.0))
            // By root: what a sandbox left on the host belongs to an id that no other sandbox has.
            if let after = control.after {
                let words = try after.arguments(program: scene.program, values: attempt.values)
                _ = try Program.run(words)
            }
            judge = ProbeJudgement(probe: probe, values: attempt.values)
        }
        if let name = probe.expectation.golden {
            judge.golden = try GoldenSweep(profile: probe.profile, name: name).read()
        }
        for failure in try judge.failures(ofControl: outcome.run, tripped: tripped) {
            Issue.record("\(failure)")
        }
    }

    @Test("the daemons of these tests leave nothing")
    func end() throws {
        // The last of the suite, as it is serialized.
        Self.shared?.end()
        Self.shared = nil
    }

    /// Ends the test when the host or the daemon lacks what it takes, and says what that is.
    private static func skip(
        _ probe: Probe,
        _ what: String,
        needs: [ProbeNeed],
        layers: [ProbeLayer],
        _ scene: ProbeScene
    ) throws {
        var reasons = needs.filter { !$0.isMet }.map { "this host lacks \($0.rawValue)" }
        for layer in layers where !scene.knownLayers.contains(layer.rawValue) {
            reasons.append("the daemon cannot leave out '\(layer.rawValue)'")
        }
        guard let reason = reasons.first else { return }
        // The library prints nothing for a cancelled row of a table; whoever reads the end of the
        // run should know of it.
        print("➜ Test \"\(probe.id), \(what)\" skipped: \(reason)")
        try Test.cancel("\(reason)")
    }

    /// What the kernel itself knows, by the same sweep without a filter.
    private static func sweepWithoutFilter(
        _ probe: Probe,
        _ scene: ProbeScene
    ) throws -> SyscallSweep? {
        let daemon = try scene.daemon(without: [.seccomp])
        return try SandboxedProbe(probe, scene, daemon).run(probe.command) {}.run.sweep
    }
}
