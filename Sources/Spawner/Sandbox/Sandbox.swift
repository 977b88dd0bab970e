// SPDX-License-Identifier: Apache-2.0
internal import CChannel
package import Kernel
internal import Policy
internal import SystemPackage

/// One attempt, from its sandbox's birth to the proof that nothing is left of it.
///
/// The same for every engine: the engine makes the isolated place; this talks to init in it, lets
/// the job out of the gate only when the kernel's own account agrees with the policy, and always
/// ends with a result. It runs on the engine's event loop.
package actor Sandbox {
    /// As many calls as init tells of.
    private static let callLimit = 512

    package nonisolated var unownedExecutor: UnownedSerialExecutor {
        loop.asUnownedSerialExecutor()
    }

    /// Says whether the job may start in the cell of this name; throws when it may not.
    package typealias Permission = @Sendable (_ cell: String) async throws -> Void

    nonisolated let loop: EventLoop
    let engine: any Engine
    let request: RunRequest
    let filter: [UInt8]
    let store: ArtifactStore
    let patience: Patience

    let link: InitLink
    private var streams: JobStreams?
    var cell: Cell?

    /// The verdict that somebody ended the run with.
    private(set) var cancellation: Verdict?
    private var isOutputExceeded = false
    /// How long this attempt is ours; nil is for as long as it lasts.
    private var leasedUntil: Instant?
    /// When the gate opened.
    private var gate: Instant?
    private var isFinished = false
    /// Whether the kernel's own account of the sandbox, its cgroup included, was the policy's.
    var isReadBack = false
    /// Whether init did not bring the run to its own end.
    var hasFailed = false
    /// Whether it was gone in the middle of the run, and nobody had asked for that.
    private(set) var isLost = false

    var counters = CgroupCounters()
    private var executionError: Errno?
    var found: [(path: [UInt8], mode: UInt32, file: Descriptor)] = []
    var result: RunResult

    /// Prepares an attempt; nothing is made before `run`. `filter` is the policy's compiled BPF.
    package init(
        _ request: RunRequest,
        engine: any Engine,
        filter: [UInt8],
        store: ArtifactStore,
        patience: Patience = Patience()
    ) {
        self.request = request
        self.patience = patience
        self.engine = engine
        self.filter = filter
        self.store = store
        loop = engine.loop
        link = InitLink(on: engine.loop)
        result = RunResult(
            attempt: request.attempt,
            profile: request.policy.name,
            engine: engine.name,
            imageDigest: request.image.digest
        )
    }

    // MARK: For the caller

    /// Runs the attempt to its end. Cancelling the calling task cancels the run; also then it comes
    /// back only when everything is torn down. The gate opens when `permission` has returned; when
    /// it throws, nothing runs.
    package func run(permission: @escaping Permission = { _ in }) async -> RunResult {
        await withTaskCancellationHandler {
            await perform(permission)
        } onCancel: {
            loop.post { self.assumeIsolated { $0.cancel() } }
        }
    }

    /// The next pieces of live output; empty when the run is over and all has been told.
    package func nextOutput() async -> [OutputChunk] {
        await jobStreams.nextOutput()
    }

    /// What has been kept of each stream so far, for somebody who looks on: it holds nothing up.
    package func keptSoFar() -> (output: KeptOutput, errorOutput: KeptOutput) {
        jobStreams.kept
    }

    /// What was kept and not told live; after `run`.
    package func restOfOutput() -> [OutputChunk] {
        jobStreams.rest()
    }

    /// Writes to the job's standard input, once there is one; comes back when the pipe has taken it,
    /// or when nobody will ever read it.
    package func feed(_ bytes: [UInt8]) async {
        await jobStreams.feed(bytes)
    }

    /// The end of the job's standard input, after what was fed.
    package func endInput() {
        jobStreams.endInput()
    }

    /// Ends the run with this verdict, unless it has ended already.
    package func cancel(as verdict: Verdict = .cancelled) {
        guard !isFinished, cancellation == nil else { return }
        cancellation = verdict
        link.kill()
    }

    /// The right to this attempt lasts until then; later, init ends it by itself. Each call moves
    /// that moment.
    package func keep(until moment: Instant) {
        leasedUntil = moment
        guard gate != nil, !isFinished else { return }
        sendLease()
    }

    private func sendLease() {
        guard let leasedUntil else { return }
        let message = sbx_keep(header: sbx_header(), until_ns: leasedUntil.nanoseconds)
        // An init that does not take it ends sooner, never later.
        try? link.send(SBX_KEEP, message)
    }

    /// What the attempt has used so far, as the kernel counts it; nil before and after.
    package func usageNow() -> Usage? {
        guard !isFinished, let gate, let cell, let counters = try? cell.cgroup.counters() else {
            // Counters that cannot be read now are told at the end.
            return nil
        }
        var usage = Usage()
        usage.cpuMilliseconds = Double(counters.cpuMicroseconds) / 1000
        usage.memoryPeakBytes = counters.memoryPeakBytes
        usage.wallMilliseconds = Instant.now.milliseconds(since: gate)
        usage.egressBytes = request.gateway?.bytes ?? 0
        return usage
    }

    // MARK: The life of a run

    private func perform(_ permission: Permission) async -> RunResult {
        let began = Instant.now
        var ended = began
        do {
            try await make()
            try await permit(permission)
            gate = .now
            try openGate()
            await engine.jobStarted(request)
            let ending = try await waitForEnd()
            ended = .now
            await judge(ending, at: ended)
            await collect()
        } catch let error as SpawnError {
            ended = .now
            fail(error)
        } catch {
            ended = .now
            fail(.lost(during: "\(error)"))
        }
        await closeGateway()
        await tearDown()
        await keepArtifacts()
        let done = Instant.now
        result.timing.setup = (gate ?? ended).milliseconds(since: began)
        result.timing.run = gate.map { ended.milliseconds(since: $0) } ?? 0
        if hasFailed { result.usage.wallMilliseconds = result.timing.run }
        result.timing.teardown = done.milliseconds(since: ended)
        result.timing.total = done.milliseconds(since: began)
        isFinished = true
        jobStreams.finish()
        return result
    }

    func permit(_ permission: Permission) async throws {
        guard let cell else { return }
        // The sandbox is made; who permits has a deadline of his own.
        link.liftDeadline()
        do { try await permission(cell.id) } catch { throw SpawnError.notPermitted("\(error)") }
        try checkWanted()
        // A healthy init has nothing to say between READY and the gate.
        if let signal = link.nextIfAny() { throw setupError(signal) }
    }

    /// The streams; they can be waited at before there are any pipes.
    var jobStreams: JobStreams {
        if let streams { return streams }
        let made = JobStreams(isLive: request.isLive, on: loop) { [unowned self] in
            self.assumeIsolated { $0.outputCame() }
        }
        streams = made
        return made
    }

    private func openGate() throws(SpawnError) {
        // A daemon that was frozen here may have lost the attempt meanwhile.
        if let leasedUntil, leasedUntil <= .now {
            cancellation = .leaseLost
            throw .lost(during: "setup")
        }
        sendLease()
        try host("opening the gate") { () throws(Errno) in try link.signal(SBX_GATE) }
        link.setDeadline(after: request.policy.limits.wallTime + patience.deadlineGrace)
    }

    func waitForEnd() async throws -> Ending {
        while true {
            switch await link.next() {
            case .message(.failed(.execve, let code)): executionError = code
            case .message(.seen(let call))
            where witness != .none && result.calls.count < Self.callLimit:
                result.calls.append(call)
            case .message(.ended(let ending)): return ending
            case .message(.failed(let step, let code)): throw SpawnError.step(step, code)
            case .notLaunched(let error): throw error
            case .message, .launched: throw SpawnError.violation("a message out of turn")
            case .closed(let violation?): throw SpawnError.violation(violation)
            case .closed, .exited: throw SpawnError.lost(during: "the run")
            case .late: throw SpawnError.silent(during: "the run")
            }
        }
    }

    /// The job is over: reads the counters, and says how it ended.
    private func judge(_ said: Ending, at ended: Instant) async {
        let passed = ended.nanoseconds &- (gate ?? ended).nanoseconds
        let ending = said.within(wallNanoseconds: passed)
        link.setDeadline(after: patience.teardown)
        jobStreams.close()
        readCounters()
        if let cell { await engine.jobEnded(in: cell) }
        let judgement = Judgement(
            limits: request.policy.limits,
            ending: ending,
            counters: counters,
            executionError: executionError,
            cancellation: cancellation,
            outputBytes: jobStreams.totalBytes,
            isOutputExceeded: isOutputExceeded
        )
        (result.verdict, result.evidence) = judgement.verdict()
        result.usage.wallMilliseconds = Double(ending.wallNanoseconds) / 1_000_000
        result.usage.workspaceBytes = ending.workspaceBytes
        result.usage.workspaceInodes = ending.workspaceInodes
    }

    /// Its sockets are of the sandbox's network, which lives as long as they do.
    private func closeGateway() async {
        guard let gateway = request.gateway else { return }
        result.reached = await gateway.close()
        result.usage.egressBytes = gateway.bytes
    }

    private func fail(_ error: SpawnError) {
        hasFailed = true
        jobStreams.close()
        if let cancellation {
            result.verdict = cancellation
        } else if case .step(.workingDirectory, let code) = error {
            // The caller's mistake, like a command that is not there.
            result.verdict = .exit(126)
            result.evidence = [Evidence("chdir", "\(code)")]
        } else {
            if case .lost = error { isLost = gate != nil }
            result.verdict = .engineError
            result.evidence = error.evidence
        }
    }

    private func outputCame() {
        let limits = engine.layers.applied(to: request.policy.limits)
        guard jobStreams.totalBytes > limits.outputTotalBytes, !isOutputExceeded else { return }
        isOutputExceeded = true
        link.askToEnd()
    }
}
