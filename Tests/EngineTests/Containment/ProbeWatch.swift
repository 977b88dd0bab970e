// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// The oracles of one run: what they saw before, and what they object to afterwards.
final class ProbeWatch {
    /// What an oracle does when the run is over.
    typealias Check = (ProbeOutcome) throws -> [String]

    let probe: Probe
    let scene: ProbeScene
    let daemon: TestDaemon
    private var checks: [(ProbeOracle, Check)] = []
    private(set) var allowedJobs: Set<ProcessTable.Entry> = []

    init(_ probe: Probe, _ scene: ProbeScene, _ daemon: TestDaemon) {
        self.probe = probe
        self.scene = scene
        self.daemon = daemon
    }

    /// Looks for the first time. What must run beside the probe runs already.
    func begin(_ oracles: [ProbeOracle]) throws {
        // First, so that all others take it for granted.
        if oracles.contains(.neighbourAlive) {
            checks.append((.neighbourAlive, try neighbourLives()))
        }
        allowedJobs = HostView.jobs(of: daemon.pid)
        for oracle in oracles where oracle != .neighbourAlive {
            checks.append((oracle, try check(oracle)))
        }
    }

    /// Looks again; what each oracle objects to. Whoever must see the first moment comes first.
    func end(_ outcome: ProbeOutcome) throws -> [(ProbeOracle, String)] {
        let order = checks.sorted { first, _ in first.0 == .noProcessLeft }
        var objections: [(ProbeOracle, String)] = []
        for (oracle, check) in order {
            objections += try check(outcome).map { (oracle, $0) }
        }
        return objections
    }

    private func check(_ oracle: ProbeOracle) throws -> Check {
        switch oracle {
        case .canaryFilesUnread: try canaries()
        case .noCanaryInResults: noCanary
        case .imageTreeUnchanged:
            try unchanged("the image") { [seed = probe.id] in
                try HostView.tree(ProbeScene.imageStore, seed: seed)
            }
        case .initProgramUnchanged: try programs()
        case .hostSysctlUnchanged: try unchanged("a setting", HostView.settings)
        case .hostIdentityUnchanged: try unchanged("the host's name", HostView.identity)
        case .hostClockUnchanged: clock()
        case .hostMountsUnchanged:
            try unchanged("the host's mounts") { ProcessTable.read("/proc/self/mountinfo") ?? "" }
        case .hostDiskUnchanged: try disk()
        case .noProcessLeft: noProcess
        case .noIPCLeft: noIPC()
        case .noCgroupLeft: noCgroup
        case .noNamespaceLeft: noNamespace()
        case .receiptClean:
            { $0.report?.isClean == false ? ["\($0.report?.json["receipt"] ?? .null)"] : [] }
        case .listenerUntouched: listeners()
        case .sentinelAlive: try sentinels()
        case .neighbourAlive: { _ in [] }
        case .daemonAlive: daemonLives
        case .daemonMemoryBounded: memory()
        case .cpuRateHeld: rate
        case .cpuCharged:
            { ($0.report?.usage("cpu_ms") ?? 0) >= 800 ? [] : ["cpu_ms is less than 800"] }
        case .artifactNamesRoundTrip: names
        case .outputIsJSON: json
        case .terminalClean: terminal
        case .uidRangesDistinct: ranges
        case .outputMarked: marked
        }
    }
}
