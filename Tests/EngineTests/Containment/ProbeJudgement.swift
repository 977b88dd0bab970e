// SPDX-License-Identifier: Apache-2.0

/// Holds a run against its row of the table.
struct ProbeJudgement: Sendable {
    let probe: Probe
    let values: ProbeValues
    /// The golden file of the row, when it has one.
    var golden: SyscallSweep?
    /// A sweep outside of any sandbox, for kernels that lack calls.
    var hostSweep: SyscallSweep?

    /// What is wrong with the run, in words; nothing when it is as the row expects.
    ///
    /// Oracles have their own say.
    func failures(of run: ProbeRun) throws(ProbeTableError) -> [String] {
        let expected = probe.expectation
        var failures = verdictFailures(of: run)
        failures += try lineFailures(of: run)
        failures += artifactFailures(of: run)
        if let most = expected.withinMilliseconds.map({ $0 * Host.slowness }),
            run.milliseconds > most
        {
            failures.append("it took \(run.milliseconds) ms, more than \(most)")
        }
        if let digest = expected.stdoutSHA256, digest != run.stdoutSHA256 {
            failures.append("standard output is not what was written")
        }
        if let digest = expected.stderrSHA256, digest != run.stderrSHA256 {
            failures.append("standard error is not what was written")
        }
        if expected.golden != nil { failures += sweepFailures(of: run) }
        return failures
    }

    /// What is wrong with the control's run: what should have succeeded and did not.
    ///
    /// `tripped` are the oracles that objected to it. A vacuous row's control may prove nothing.
    func failures(
        ofControl run: ProbeRun,
        tripped: Set<ProbeOracle>
    ) throws(ProbeTableError) -> [String] {
        guard let control = probe.control else { return [] }
        var failures: [String] = []
        for pattern in control.succeeds {
            failures += try missing(.succeeded, pattern, in: run)
        }
        for pattern in control.blocks {
            failures += try missing(.blocked, pattern, in: run)
        }
        for oracle in control.trips where !tripped.contains(oracle) {
            failures.append("oracle \(oracle.rawValue) did not object")
        }
        if !control.verdict.isEmpty, !control.verdict.contains(run.verdict) {
            failures.append("the verdict is \(run.verdict.rawValue)")
        }
        if let patience = control.outlivesMilliseconds, !run.outlived {
            failures.append("it ended within \(patience) ms by itself")
        }
        if control.goldenDiffers, sweepFailures(of: run).isEmpty {
            failures.append("the sweep is still what the golden file says")
        }
        return failures
    }

    private func verdictFailures(of run: ProbeRun) -> [String] {
        let expected = probe.expectation
        guard expected.verdict.contains(run.verdict) else {
            let wanted = expected.verdict.map(\.rawValue).joined(separator: " or ")
            return ["the verdict is \(run.verdict.rawValue), not \(wanted)"]
        }
        guard let code = expected.exitCode, code != run.exitCode else { return [] }
        return ["the exit status is \(run.exitCode.map(String.init) ?? "none"), not \(code)"]
    }

    private func lineFailures(of run: ProbeRun) throws(ProbeTableError) -> [String] {
        let expected = probe.expectation
        var failures: [String] = []
        if expected.lines == .blocked, run.lines.isEmpty {
            failures.append("the probe said nothing")
        }
        for pattern in expected.allowed {
            failures += try missing(.succeeded, pattern, in: run)
        }
        let allowed = try filled(expected.allowed)
        let inContainer = Host.engineSocket == nil ? [] : expected.eitherInContainer
        let inBrowser = probe.profile == "browser" ? expected.eitherInBrowser : []
        let either = try filled(expected.either + inContainer + inBrowser)
        let errnos = try filled(expected.errnos)
        let details = try filled(expected.details)
        for line in run.lines {
            if let wanted = Self.longest(of: details, fitting: line.action), wanted != line.detail {
                failures.append("\(line.action): \(line.detail), not \(wanted)")
            }
            switch line.result {
            case .succeeded:
                let known = (allowed + either).contains { Self.fits(line.action, $0) }
                if expected.lines != .any, !known {
                    failures.append("\(line.action): it succeeded (\(line.detail))")
                }
            case .blocked:
                if allowed.contains(where: { Self.fits(line.action, $0) }) {
                    failures.append("\(line.action): it was blocked (\(line.detail))")
                } else if let wanted = Self.longest(of: errnos, fitting: line.action),
                    !wanted.contains(where: { Self.is($0, of: line) })
                {
                    let names = wanted.map(\.rawValue).joined(separator: " or ")
                    failures.append("\(line.action): blocked by \(line.detail), not \(names)")
                }
            }
        }
        return failures
    }

    private func artifactFailures(of run: ProbeRun) -> [String] {
        let expected = probe.expectation
        let kept = Set(run.artifacts)
        var failures: [String] = []
        if let exactly = expected.artifacts, kept != Set(exactly) {
            failures.append("artifacts are \(kept.sorted()), not \(exactly.sorted())")
        }
        for name in expected.artifactsInclude where !kept.contains(name) {
            failures.append("\(name) was not kept")
        }
        for name in expected.artifactsExclude where kept.contains(name) {
            failures.append("\(name) was kept")
        }
        if let most = expected.artifactsMost, run.artifacts.count > most {
            failures.append("\(run.artifacts.count) artifacts were kept, more than \(most)")
        }
        return failures
    }

    private func sweepFailures(of run: ProbeRun) -> [String] {
        guard let sweep = run.sweep, !sweep.words.isEmpty else { return ["the sweep said nothing"] }
        guard let golden else { return ["there is no golden file"] }
        return sweep.differences(from: golden, host: hostSweep)
    }

    /// Says so when no line that fits `pattern` has the result, or one has another.
    private func missing(
        _ result: ProbeLine.Result,
        _ pattern: String,
        in run: ProbeRun
    ) throws(ProbeTableError) -> [String] {
        let pattern = try values.fill(pattern)
        let fitting = run.lines.filter { Self.fits($0.action, pattern) }
        guard !fitting.isEmpty else {
            return [
                """
                \(pattern): no line says what became of it: the run ended with \(run.verdict) after \
                \(run.milliseconds) ms and \(run.lines.count) lines (\(run.evidence))
                """
            ]
        }
        return fitting.filter { $0.result != result }.map {
            "\($0.action): it was not \(result.rawValue) (\($0.detail))"
        }
    }

    private func filled(_ patterns: [String]) throws(ProbeTableError) -> [String] {
        var filled: [String] = []
        for pattern in patterns { filled.append(try values.fill(pattern)) }
        return filled
    }

    private func filled<Value>(
        _ patterns: [String: Value]
    ) throws(ProbeTableError) -> [String: Value] {
        var filled: [String: Value] = [:]
        for (pattern, value) in patterns { filled[try values.fill(pattern)] = value }
        return filled
    }

    private static func fits(_ action: String, _ pattern: String) -> Bool {
        pattern.hasSuffix("*") ? action.hasPrefix(pattern.dropLast()) : action == pattern
    }

    private static func longest<Value>(
        of patterns: [String: Value],
        fitting action: String
    ) -> Value? {
        patterns.filter { fits(action, $0.key) }.max { $0.key.count < $1.key.count }?.value
    }

    private static func `is`(_ errno: ProbeErrno, of line: ProbeLine) -> Bool {
        let signalled = line.detail.hasPrefix("signal ")
        return line.errno == errno.number && signalled == (errno == .SIGSYS)
    }
}
