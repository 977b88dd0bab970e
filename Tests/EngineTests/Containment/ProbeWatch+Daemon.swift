// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// Oracles that look at the daemon and at who is beside the run.
extension ProbeWatch {
    func neighbourLives() throws -> Check {
        let program = """
            import select, sys, time
            while not select.select([sys.stdin], [], [], 0.1)[0]:
                print(int(time.monotonic() * 1000), flush=True)
            """
        let live = try LiveRun(streaming: daemon.api, .python(program, ["stdin_stream": true]))
        while live.output["stdout"] == nil { _ = try #require(try live.next()) }
        return { _ in
            try live.endInput()
            let report = try live.report()
            let times = report.text.split(separator: "\n").compactMap { Int($0) }
            let gap = zip(times, times.dropFirst()).map { $1 - $0 }.max() ?? 0
            return (report.verdict == "ok" ? [] : ["the neighbour ended with \(report.verdict)"])
                + (gap < 1000 * Host.slowness ? [] : ["the neighbour stood still for \(gap) ms"])
        }
    }

    func daemonLives(_ outcome: ProbeOutcome) throws -> [String] {
        let began = Host.milliseconds
        let status = try daemon.api.answer("GET", "/v1/status").status
        let took = Host.milliseconds - began
        let report = try daemon.api.run(Run(["true"]))
        let isInTime = took < 1000 * Host.slowness
        return (status == 200 && isInTime ? [] : ["status \(status) after \(took) ms"])
            + (report.verdict == "ok" ? [] : ["true ended with \(report.verdict)"])
    }

    func memory() -> Check {
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
}
