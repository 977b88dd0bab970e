// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// Oracles that look at what came out of the run.
extension ProbeWatch {
    func noCanary(_ outcome: ProbeOutcome) throws -> [String] {
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

    func rate(_ outcome: ProbeOutcome) -> [String] {
        guard let report = outcome.report, let used = report.usage("cpu_ms"),
            let wall = report.usage("wall_ms"), let limit = probe.limits["cpu"]
        else { return ["there is no usage"] }
        let most = Double(limit) / 1000 * 1.2
        return used / wall <= most ? [] : ["\(used / wall) processors, more than \(most)"]
    }

    func names(_ outcome: ProbeOutcome) throws -> [String] {
        guard let report = outcome.report else { return [] }
        return try outcome.run.lines.compactMap { line in
            guard let name = Self.bytes(hex: line.detail) else { return "no name: \(line.detail)" }
            if report.refused[name] != nil { return nil }
            guard let digest = report.artifacts[name]?["sha256"]?.text else {
                return "\(line.detail) did not come out"
            }
            return try daemon.api.artifact(digest) == name
                ? nil : "\(line.detail) has other content"
        }
    }

    private static func bytes(hex: String) -> [UInt8]? {
        let digits = Array(hex)
        guard !digits.isEmpty, digits.count % 2 == 0 else { return nil }
        let pairs = stride(from: 0, to: digits.count, by: 2).map { String(digits[$0...$0 + 1]) }
        let bytes = pairs.compactMap { UInt8($0, radix: 16) }
        return bytes.count == pairs.count ? bytes : nil
    }

    func json(_ outcome: ProbeOutcome) throws -> [String] {
        let file = try Installation.shared.get().directory + "/" + UUID().uuidString
        try Data(outcome.raw).write(to: URL(filePath: file))
        defer { unlink(file) }
        let ending = try Program.run(["python3", "-m", "json.tool", file, "/dev/null"])
        return ending.exitCode == 0 ? [] : ["a second parser says: \(ending.errorText)"]
    }

    func terminal(_ outcome: ProbeOutcome) throws -> [String] {
        let installation = try Installation.shared.get()
        let command = [
            installation.program("sandboxd"), "run", "--file", scene.program + ":probe", "--",
            "/workspace/probe", "awkward-output",
        ].joined(separator: " ")
        let ending = try Program.run(
            ["script", "-qec", command, "/dev/null"],
            environment: ["SANDBOXD_SOCKET": daemon.socket, "SHELL": "/bin/sh"]
        )
        let summary = ending.stdout.split(separator: 10).last { line in
            line.firstRange(of: Array("sandboxd: ".utf8)) != nil
        }
        guard let summary else { return ["there is no summary"] }
        // The job's last line may have no end of its own.
        let own = summary[(summary.firstRange(of: Array("sandboxd: ".utf8))?.lowerBound ?? 0)...]
        return own.contains(27) ? ["the summary has an escape"] : []
    }

    func ranges(_ outcome: ProbeOutcome) throws -> [String] {
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

    func marked(_ outcome: ProbeOutcome) -> [String] {
        guard let report = outcome.report else { return [] }
        let flags = ["stdout_truncated", "stderr_truncated"].map { report.json[$0]?.bool ?? false }
        let all =
            (report.usage("output_kept_bytes") ?? 0)
            + (report.usage("output_dropped_bytes") ?? 0)
        let cap = Double(probe.limits["output"] ?? .max)
        return (flags.contains(true) ? [] : ["nothing says that it was cut"])
            + (all > cap ? [] : ["\(all) bytes are not more than \(cap)"])
    }
}
