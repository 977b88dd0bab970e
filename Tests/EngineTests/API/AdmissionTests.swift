// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@Suite("Admission", .ownDaemon, .alone)
struct AdmissionTests {
    @Test("a disk beyond its limit takes nothing new, and says so")
    func disk() throws {
        let daemon = try TestDaemon(["--disk-limit", "1"])
        let refused = try daemon.api.post(try Run(["true"]).json.bytes)
        #expect(refused.status == 503)
        #expect(refused.head.headers["retry-after"] != nil)
        #expect(try refused.json["error"]?["code"]?.text == "disk")
        let disk = try #require(try daemon.api.status()["disk"])
        #expect(disk["ready"]?.bool == false)
        #expect((disk["used_percent"]?.int ?? 0) > 1)
        daemon.stop()
    }

    private static let waiting = Run.shell("echo up; sleep 100")

    @Test("a run that does not fit now is 429, says why and when to come again, and fits later")
    func full() throws {
        let daemon = try TestDaemon(["--memory", "300"])
        let half = Self.waiting.limited(["memory_bytes": 157_286_400])
        let lives = try (0..<2).map { _ in try daemon.api.start(half) }
        for live in lives { try live.waits(for: "up") }
        let small = Run(["true"]).limited(["memory_bytes": 33_554_432])
        let answer = try daemon.api.post(try small.json.bytes)
        #expect(answer.status == 429)
        #expect(answer.head.headers["retry-after"] == "1")
        #expect(try answer.json["error"]?["code"]?.text == "memory")
        let message = try answer.json["error"]?["message"]?.text ?? ""
        #expect(message.contains("32 MiB") && message.contains("0 MiB are free"), "\(message)")
        #expect(try daemon.api.status()["memory"]?["reserved_bytes"]?.int == 314_572_800)
        lives[0].cancel()
        let fits = try Host.waits(upTo: .seconds(5)) {
            try daemon.api.post(try small.json.bytes).status == 200
        }
        #expect(fits)
        lives[1].cancel()
        let free = try Host.waits(upTo: .seconds(5)) {
            try daemon.api.status()["memory"]?["reserved_bytes"]?.int == 0
        }
        #expect(free, "reservations of runs that are gone are not given back")
        daemon.stop()
    }

    @Test("a run that can never fit is 400, and no Retry-After promises otherwise")
    func neverFits() throws {
        let daemon = try TestDaemon(["--memory", "100"])
        let answer = try daemon.api.post(try Run(["true"]).json.bytes)
        #expect(answer.status == 400)
        #expect(answer.head.headers["retry-after"] == nil)
        #expect(try answer.json["error"]?["code"]?.text == "never_fits")
        let fits = Run(["true"]).limited(["memory_bytes": 104_857_600])
        #expect(try daemon.api.run(fits).verdict == "ok")
        daemon.stop()
    }

    @Test("two hundred sandboxes, or twenty containers, are alive at once, and then all are gone")
    func manyAtOnce() throws {
        let daemon = try TestDaemon(["--memory", "8192"])
        let run = Self.waiting.limited(["memory_bytes": 33_554_432])
        let waves = Host.engineSocket == nil ? 10 : 1
        var lives: [LiveRun] = []
        for _ in 0..<waves {
            let wave = try (0..<20).map { _ in try daemon.api.start(run) }
            for live in wave { try live.waits(for: "up") }
            lives += wave
        }
        #expect(try daemon.api.status()["runs"]?.int == waves * 20)
        // Those, and at most a few that wait for a run. An engine that caps has no places of ours.
        if Host.engineSocket == nil { #expect(daemon.cells.count >= waves * 20) }
        for live in lives { live.cancel() }
        let gone = try Host.waits(upTo: .seconds(20)) {
            try daemon.api.status()["runs"]?.int == 0
        }
        #expect(gone)
        daemon.stop()
    }

    @Test("after many runs the daemon has the descriptors, threads and cgroups it began with")
    func flat() throws {
        let daemon = try TestDaemon()
        let run = Run(["true"], profile: Host.probeProfile).limited(["memory_bytes": 33_554_432])
        func rounds(_ count: Int) throws {
            let connections = try (0..<8).map { _ in try HTTPConnection(daemon.socket) }
            let body = try run.json.bytes
            for _ in 0..<count / 8 {
                for connection in connections {
                    try connection.send(
                        "POST",
                        "/v1/runs",
                        headers: ["Accept": "application/json"],
                        body: body
                    )
                }
                for connection in connections {
                    #expect(try Report(json: connection.answer().json).verdict == "ok")
                }
            }
        }
        func census() -> [String: Int] {
            [
                "descriptors": ProcessTable.names("/proc/\(daemon.pid)/fd").count,
                "threads": ProcessTable.names("/proc/\(daemon.pid)/task").count,
                "processes": ProcessTable().descendants(of: daemon.pid).count,
                "cells": daemon.cells.count,
            ]
        }
        // A container takes a hundred times as long to make, and an emulated machine ten times.
        let scale = Host.sideBySide == .max ? 1 : 5
        try rounds(200 / scale)
        #expect(Host.waits(upTo: .seconds(5)) { daemon.isAtRest }, "\(daemon.cells)")
        let before = census()
        let memory = ProcessTable.kilobytes("VmRSS", of: daemon.pid) ?? 0
        try rounds(800 / scale)
        let flat = Host.waits(upTo: .seconds(5)) {
            // The libraries' pools may not have had all of their few threads before.
            census().allSatisfy {
                $0.value <= before[$0.key, default: 0] + ($0.key == "threads" ? 4 : 0)
            }
        }
        #expect(flat, "\(before) became \(census())")
        let grown = (ProcessTable.kilobytes("VmRSS", of: daemon.pid) ?? 0) - memory
        #expect(grown < 12 << 10, "it grew by \(grown) kB")
        daemon.stop()
    }
}
