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
    private var allowedJobs: Set<ProcessTable.Entry> = []
    private var neighbour: LiveRun?

    init(_ probe: Probe, _ scene: ProbeScene, _ daemon: TestDaemon) {
        self.probe = probe
        self.scene = scene
        self.daemon = daemon
    }

    /// Looks for the first time. What must run beside the probe runs already.
    func begin(_ oracles: [ProbeOracle]) throws {
        // First, so that all others take it for granted.
        if oracles.contains(.neighbourAlive) { checks.append((.neighbourAlive, try neighbourLives())) }
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
        case .receiptClean: { $0.report?.isClean == false ? ["\($0.report?.json["receipt"] ?? .null)"] : [] }
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

    // MARK: The host

    private func unchanged<Value: Equatable>(
        _ what: String, _ look: @escaping () throws -> Value
    ) throws -> Check {
        let before = try look()
        return { _ in
            let after = try look()
            guard after != before else { return [] }
            if let before = before as? Set<String>, let after = after as? Set<String> {
                return ["\(what) changed: \(before.symmetricDifference(after).sorted().prefix(8))"]
            }
            return ["\(what) changed"]
        }
    }

    private func canaries() throws -> Check {
        let paths = [
            scene.canaryDirectory + "/" + scene.canaryFile, daemon.state + "/" + scene.canaryFile,
        ]
        let watch = inotify_init1(Int32(IN_NONBLOCK) | Int32(IN_CLOEXEC))
        guard watch >= 0 else { throw SocketError("watching the canaries") }
        let events = UInt32(IN_OPEN | IN_ACCESS | IN_MODIFY | IN_ATTRIB)
        for path in paths { inotify_add_watch(watch, path, events) }
        let token = scene.token
        return { _ in
            defer { close(watch) }
            var bytes = [UInt8](repeating: 0, count: 4096)
            let touched = read(watch, &bytes, bytes.count) > 0
            let same = paths.allSatisfy { ProcessTable.read($0) == token }
            return (touched ? ["a canary file was opened"] : []) + (same ? [] : ["a canary changed"])
        }
    }

    private func programs() throws -> Check {
        let family = ProcessTable().descendants(of: daemon.pid).map(\.pid)
        let paths = ([daemon.pid, daemon.janitor] + family.prefix(1)).map { "/proc/\($0)/exe" }
        let installed = try Installation.shared.get().program("sandboxd-init")
        return try unchanged("a program") { try HostView.digests(paths + [installed]) }
    }

    private func clock() -> Check {
        let before = HostView.clockOffset()
        return { _ in
            let moved = HostView.clockOffset() - before
            return abs(moved) < 1_000_000 ? [] : ["the clock moved by \(moved) ns"]
        }
    }

    private func disk() throws -> Check {
        let state = daemon.state
        let files = try HostView.files(below: state)
        let free = HostView.freeSharedMemory()
        return { _ in
            let new = try HostView.files(below: state).subtracting(files)
            let less = free - HostView.freeSharedMemory()
            return (new.isEmpty ? [] : ["files are left: \(new.sorted().prefix(8))"])
                + (less < 1 << 20 ? [] : ["/dev/shm has \(less) bytes less"])
        }
    }

    private func noProcess(_ outcome: ProbeOutcome) -> [String] {
        if let mark = outcome.mark {
            let left = Sandboxes.processes(marked: mark)
            return left.isEmpty ? [] : ["processes are left: \(left)"]
        }
        let left = HostView.jobs(of: daemon.pid).subtracting(allowedJobs)
        return left.isEmpty ? [] : ["processes are left: \(left.map { "\($0.pid) \($0.name)" })"]
    }

    private func noIPC() -> Check {
        let before = HostView.interprocess()
        return { _ in
            let new = HostView.interprocess().subtracting(before)
            return new.isEmpty ? [] : ["left: \(new.sorted())"]
        }
    }

    private func noCgroup(_ outcome: ProbeOutcome) -> [String] {
        let rests = Host.waits(upTo: .seconds(1)) { daemon.isAtRest }
        return rests ? [] : ["cgroups are in use: \(daemon.cells)"]
    }

    /// Sandboxes that wait come and go, so it is the number of namespaces that must not grow.
    private func noNamespace() -> Check {
        let daemon = daemon.pid
        let before = HostView.namespaces(of: daemon).count
        return { _ in
            let back = Host.waits(upTo: .seconds(1)) {
                HostView.namespaces(of: daemon).count <= before
            }
            return back ? [] : ["\(HostView.namespaces(of: daemon).count) namespaces, not \(before)"]
        }
    }

    private func listeners() -> Check {
        _ = scene.listeners.touched()
        return { [scene] _ in scene.listeners.touched().map { "\($0) was reached" } }
    }

    private func sentinels() throws -> Check {
        let words = ["env", "--block-signal", "--", "sleep", "1000"]
        let sentinels = [try Program(words), try Program(Program.asUser + words)]
        // Until it has blocked them all, a signal would not be seen.
        let ready = Host.waits(upTo: .seconds(5)) {
            sentinels.allSatisfy { ProcessTable.entry($0.pid)?.name == "sleep" }
        }
        try #require(ready)
        return { _ in
            sentinels.flatMap { sentinel -> [String] in
                let pending = ["SigPnd", "ShdPnd"].compactMap {
                    ProcessTable.field($0, of: sentinel.pid)
                }
                guard !sentinel.ends(within: .zero) else { return ["a sentinel was killed"] }
                let none = pending.allSatisfy { $0.allSatisfy { $0 == "0" } }
                return none ? [] : ["a sentinel was sent a signal: \(pending)"]
            }
        }
    }

    // MARK: The daemon

    private func neighbourLives() throws -> Check {
        let program = """
            import select, sys, time
            while not select.select([sys.stdin], [], [], 0.1)[0]:
                print(int(time.monotonic() * 1000), flush=True)
            """
        let live = try LiveRun(streaming: daemon.api, .python(program, ["stdin_stream": true]))
        while live.output["stdout"] == nil { _ = try #require(try live.next()) }
        neighbour = live
        return { _ in
            try live.endInput()
            let report = try live.report()
            let times = report.text.split(separator: "\n").compactMap { Int($0) }
            let gap = zip(times, times.dropFirst()).map { $1 - $0 }.max() ?? 0
            return (report.verdict == "ok" ? [] : ["the neighbour ended with \(report.verdict)"])
                + (gap < 1000 ? [] : ["the neighbour stood still for \(gap) ms"])
        }
    }

    private func daemonLives(_ outcome: ProbeOutcome) throws -> [String] {
        let began = Host.milliseconds
        let status = try daemon.api.answer("GET", "/v1/status").status
        let took = Host.milliseconds - began
        let report = try daemon.api.run(Run(["true"]))
        return (status == 200 && took < 1000 ? [] : ["status \(status) after \(took) ms"])
            + (report.verdict == "ok" ? [] : ["true ended with \(report.verdict)"])
    }

    private func memory() -> Check {
        let pid = daemon.pid
        // Forgets the peak so far.
        let file = open("/proc/\(pid)/clear_refs", O_WRONLY | O_CLOEXEC)
        if file >= 0 {
            _ = write(file, "5", 1)
            close(file)
        }
        let before = ProcessTable.kilobytes("VmHWM", of: pid) ?? 0
        return { _ in
            let grown = (ProcessTable.kilobytes("VmHWM", of: pid) ?? .max) - before
            return grown < 32 << 10 ? [] : ["the daemon grew by \(grown) kB"]
        }
    }

    // MARK: The result

    private func noCanary(_ outcome: ProbeOutcome) throws -> [String] {
        let token = Array(scene.token.utf8)
        var places: [(String, [UInt8])] = [
            ("standard output", outcome.stdout), ("standard error", outcome.stderr),
        ]
        for (name, artifact) in outcome.report?.artifacts ?? [:] {
            let digest = try #require(artifact["sha256"]?.text)
            places.append((String(decoding: name, as: UTF8.self), try daemon.api.artifact(digest)))
        }
        return places.filter { $0.1.firstRange(of: token) != nil }.map { "the token is in \($0.0)" }
    }

    private func rate(_ outcome: ProbeOutcome) -> [String] {
        guard let report = outcome.report, let used = report.usage("cpu_ms"),
            let wall = report.usage("wall_ms"), let limit = probe.limits["cpu"]
        else { return ["there is no usage"] }
        let most = Double(limit) / 1000 * 1.2
        return used / wall <= most ? [] : ["\(used / wall) processors, more than \(most)"]
    }

    private func names(_ outcome: ProbeOutcome) throws -> [String] {
        guard let report = outcome.report else { return [] }
        return try outcome.run.lines.compactMap { line in
            guard let name = Self.bytes(hex: line.detail) else { return "no name: \(line.detail)" }
            if report.refused[name] != nil { return nil }
            guard let digest = report.artifacts[name]?["sha256"]?.text else {
                return "\(line.detail) did not come out"
            }
            return try daemon.api.artifact(digest) == name ? nil : "\(line.detail) has other content"
        }
    }

    private static func bytes(hex: String) -> [UInt8]? {
        let digits = Array(hex)
        guard !digits.isEmpty, digits.count % 2 == 0 else { return nil }
        let pairs = stride(from: 0, to: digits.count, by: 2).map { String(digits[$0...$0 + 1]) }
        let bytes = pairs.compactMap { UInt8($0, radix: 16) }
        return bytes.count == pairs.count ? bytes : nil
    }

    private func json(_ outcome: ProbeOutcome) throws -> [String] {
        let file = try Installation.shared.get().directory + "/" + UUID().uuidString
        try Data(outcome.raw).write(to: URL(filePath: file))
        defer { unlink(file) }
        let ending = try Program.run(["python3", "-m", "json.tool", file, "/dev/null"])
        return ending.exitCode == 0 ? [] : ["a second parser says: \(ending.errorText)"]
    }

    private func terminal(_ outcome: ProbeOutcome) throws -> [String] {
        let installation = try Installation.shared.get()
        let command = [
            installation.program("sandboxd"), "run", "--file", scene.program + ":probe", "--",
            "/workspace/probe", "awkward-output",
        ].joined(separator: " ")
        let ending = try Program.run(
            ["script", "-qec", command, "/dev/null"],
            environment: ["SANDBOXD_SOCKET": daemon.socket, "SHELL": "/bin/sh"])
        let summary = ending.stdout.split(separator: 10).last { line in
            line.firstRange(of: Array("sandboxd: ".utf8)) != nil
        }
        guard let summary else { return ["there is no summary"] }
        // The job's last line may have no end of its own.
        let own = summary[(summary.firstRange(of: Array("sandboxd: ".utf8))?.lowerBound ?? 0)...]
        return own.contains(27) ? ["the summary has an escape"] : []
    }

    private func ranges(_ outcome: ProbeOutcome) throws -> [String] {
        var users: [Set<UInt32>] = []
        let marks = [Sandboxes.mark(), Sandboxes.mark()]
        let lives = try marks.map { mark in
            try daemon.api.start(.shell("echo up; sleep 60", ["env": ["MARK": .string(mark)]]))
        }
        for (live, mark) in zip(lives, marks) {
            try live.waits(for: "up")
            let job = try #require(Sandboxes.processes(marked: mark).first)
            let maps = ["uid_map", "gid_map"].map { ProcessTable.read("/proc/\(job)/\($0)") ?? "" }
            var own: Set<UInt32> = []
            for line in maps[0].split(separator: "\n") {
                let parts = line.split(separator: " ").compactMap { UInt32($0) }
                if parts.count == 3 { own.formUnion(parts[1]..<parts[1] + parts[2]) }
            }
            users.append(own)
        }
        for live in lives { live.cancel() }
        let shared = users[0].intersection(users[1])
        let strange = users[0].union(users[1]).filter { !Host.subordinateIDs.contains($0) }
        return (shared.isEmpty && !users[0].isEmpty ? [] : ["shared ids: \(shared)"])
            + (strange.isEmpty ? [] : ["ids that are not the sandboxes': \(strange)"])
    }

    private func marked(_ outcome: ProbeOutcome) -> [String] {
        guard let report = outcome.report else { return [] }
        let flags = ["stdout_truncated", "stderr_truncated"].map { report.json[$0]?.bool ?? false }
        let all = (report.usage("output_kept_bytes") ?? 0)
            + (report.usage("output_dropped_bytes") ?? 0)
        let cap = Double(probe.limits["output"] ?? .max)
        return (flags.contains(true) ? [] : ["nothing says that it was cut"])
            + (all > cap ? [] : ["\(all) bytes are not more than \(cap)"])
    }
}
