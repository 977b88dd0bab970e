// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// Runs a row's control on the bare host: as the unprivileged user, in an empty directory, with
/// descriptor 9 open on `/`, and with the token and a mark in its environment.
struct HostProbe {
    let probe: Probe
    let scene: ProbeScene
    let directory: String
    let values: ProbeValues
    private let mark = Sandboxes.mark()

    init(_ probe: Probe, _ scene: ProbeScene) throws {
        self.probe = probe
        self.scene = scene
        directory = try Installation.shared.get().makeDirectory()
        mkdir(directory + "/out", 0o755)
        if let user = Host.userID, let group = Host.groupID {
            chown(directory + "/out", user, group)
        }
        values = scene.values(workspace: directory, daemon: try scene.daemon())
    }

    /// Runs the control; `checking` is called when it has ended, before what is left of it is.
    func run(
        _ control: ProbeControl,
        looking: () throws -> Void,
        checking: (ProbeOutcome) throws -> Void
    ) throws -> ProbeOutcome {
        defer { end() }
        if let before = probe.before { _ = try start(before).ending() }
        let beside = try probe.beside.map(start)
        if let beside {
            let speaks = Host.waits(upTo: .seconds(10)) { !beside.outputSoFar.isEmpty }
            try #require(speaks, "what runs beside it says nothing")
        }
        try looking()
        let began = Host.milliseconds
        let program = try start(control.command ?? probe.command)
        let patience = control.outlivesMilliseconds
        if let patience {
            // Its end is not waited for: that it has none is the point. Nor is a slow machine given
            // longer: the attempt lasts as long there as anywhere.
            usleep(UInt32(patience) * 1000)
            _ = program.ends(within: .zero)
        } else {
            _ = program.ends(within: .seconds(60))
        }
        let outlived = patience != nil && !Sandboxes.processes(marked: mark).isEmpty
        let took = Host.milliseconds - began
        let isOver = program.ends(within: .zero)
        let ending = isOver ? program.ending(within: .zero) : nil
        let outcome = outcome(program, ending, milliseconds: took, outlived: outlived)
        try checking(outcome)
        end()
        if let after = control.after { _ = try start(after).ending() }
        return outcome
    }

    private func start(_ command: ProbeCommand) throws -> Program {
        let words = try command.arguments(program: scene.program, values: values)
        let root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        defer { close(root) }
        return try Program(
            Program.asUser + words,
            environment: ["PROBE_MARK": mark, "CANARY_SECRET": scene.token],
            directory: directory,
            descriptors: [9: root]
        )
    }

    private func outcome(
        _ program: Program,
        _ ending: Program.Ending?,
        milliseconds: Int,
        outlived: Bool
    ) -> ProbeOutcome {
        let stdout = ending?.stdout ?? program.outputSoFar
        let stderr = ending?.stderr ?? Array(program.errorsSoFar.utf8)
        let verdict: ProbeVerdict =
            switch (ending?.exitCode, ending?.signal) {
            case (0?, _): .ok
            case (_?, _): .exit
            case (nil, _?): .signal
            case (nil, nil): .cancelled
            }
        var run = ProbeRun(
            verdict: verdict,
            exitCode: ending?.exitCode.map(Int.init),
            milliseconds: milliseconds,
            lines: ProbeLine.lines(in: probe.report == .stdout ? stdout : stderr)
        )
        run.outlived = outlived
        return ProbeOutcome(run: run, stdout: stdout, stderr: stderr, mark: mark)
    }

    /// Kills whatever is left. A process that forks faster than it is killed is stopped first.
    private func end() {
        for signal in [SIGSTOP, SIGKILL] {
            for _ in 0..<50 {
                let left = Sandboxes.processes(marked: mark)
                if left.isEmpty { break }
                for pid in left { kill(pid, signal) }
                if signal == SIGSTOP { break }
            }
        }
    }
}
