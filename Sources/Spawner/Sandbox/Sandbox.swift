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
    /// How long init may take to make the sandbox, and to go away.
    private static let setupLimit = Duration.seconds(20)
    static let teardownLimit = Duration.seconds(20)
    /// init ends the job at its deadline by itself; after this much more the daemon ends init.
    private static let deadlineGrace = Duration.seconds(5)
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
    private let filter: [UInt8]
    let store: ArtifactStore

    let link: InitLink
    private var streams: JobStreams?
    var cell: Cell?

    /// The verdict that somebody ended the run with.
    private var cancellation: Verdict?
    private var isOutputExceeded = false
    /// How long this attempt is ours; nil is for as long as it lasts.
    private var leasedUntil: Instant?
    /// When the gate opened.
    private var gate: Instant?
    private var isFinished = false
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
        store: ArtifactStore
    ) {
        self.request = request
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
            await judge(ending)
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

    /// Everything up to the gate.
    private func make() async throws {
        link.setDeadline(after: Self.setupLimit)
        link.isLaunchPending = true
        let cell: Cell
        do {
            cell = try await engine.begin(request) { [self] answer in
                self.assumeIsolated { $0.link.launched(answer) }
            }
        } catch {
            link.isLaunchPending = false
            throw error
        }
        self.cell = cell
        guard let control = cell.control else { throw SpawnError.lost(during: "setup") }
        try host("epoll_ctl") { () throws(Errno) in try link.connect(control) }
        let limits = CgroupLimits(
            engine.layers.applied(to: request.policy.limits),
            ownTasks: cell.ownTasks
        )
        do throws(CgroupError) { try cell.cgroup.apply(limits) } catch {
            throw SpawnError.cgroup(error)
        }
        try host("writing to init") { () throws(Errno) in try sendPlan(cell) }
        let (jobPid, listener) = try await waitForReady()
        if let gateway = request.gateway {
            guard let listener else { throw SpawnError.violation("READY without a listener") }
            try await gateway.open(on: listener)
        }
        try readBack(jobPid, limits)
        try checkWanted()
    }

    private func permit(_ permission: Permission) async throws {
        guard let cell else { return }
        do { try await permission(cell.id) } catch { throw SpawnError.notPermitted("\(error)") }
        try checkWanted()
    }

    private func checkWanted() throws(SpawnError) {
        if cancellation != nil { throw .lost(during: "cancellation") }
    }

    private func sendPlan(_ cell: Cell) throws(Errno) {
        let (plan, trailing, meters) = PlanMessage.plan(
            policy: request.policy,
            filter: filter,
            cell: cell,
            proxyPort: request.gateway?.port ?? 0,
            // Without a filter there is nothing to be witnessed.
            witness: engine.layers.has(.seccomp) ? request.witness : .none
        )
        try link.send(SBX_PLAN, plan, trailing: trailing, descriptors: meters)
        let (command, strings) = PlanMessage.command(request)
        try link.send(SBX_COMMAND, command, descriptors: try openStreams())
        let piece = Int(SBX_MESSAGE_MAX) - 64
        for start in stride(from: 0, to: strings.count, by: piece) {
            let end = min(start + piece, strings.count)
            try link.send(SBX_BLOB, sbx_blob(), trailing: Array(strings[start..<end]))
        }
        for file in request.files {
            let content = try Descriptor.memory(file.content, name: "input")
            let message = sbx_file(
                header: sbx_header(),
                bytes: UInt64(file.content.count),
                mode: file.mode,
                padding: 0
            )
            try link.send(SBX_FILE, message, trailing: file.path, descriptors: [content])
        }
        try link.signal(SBX_START)
    }

    /// The job's ends of its three streams.
    private func openStreams() throws(Errno) -> [Descriptor] {
        try jobStreams.open(request.input, limits: engine.layers.applied(to: request.policy.limits))
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

    private func waitForReady() async throws -> (jobPid: Int32, listener: Descriptor?) {
        var jobPid: Int32?
        var listener: Descriptor?
        while jobPid == nil || !link.hasProcess {
            switch await link.next() {
            case .launched(.success(let process)): try adopt(process)
            case .launched(.failure(let error)): throw error
            case .message(.ready(let pid)) where jobPid == nil: jobPid = pid
            case .message(.listener(let socket)) where listener == nil && jobPid == nil:
                listener = socket
            case .message(.failed(let step, let code)): throw SpawnError.step(step, code)
            case .message: throw SpawnError.violation("a message out of turn during setup")
            case .closed(let violation?): throw SpawnError.violation(violation)
            case .closed, .exited: throw SpawnError.lost(during: "setup")
            case .late: throw SpawnError.silent(during: "setup")
            }
        }
        return (jobPid ?? 0, listener)
    }

    func adopt(_ process: Descriptor) throws(SpawnError) {
        try host("epoll_ctl") { () throws(Errno) in try link.adopt(process) }
        // Whoever cancelled before there was a process to end.
        if cancellation != nil { link.kill() }
    }

    private func readBack(_ jobPid: Int32, _ limits: CgroupLimits) throws(SpawnError) {
        guard let cell else { return }
        let differences = try host("reading back") { () throws(Errno) in
            try ReadBack.differences(
                policy: request.policy,
                limits: limits,
                cell: cell,
                layers: engine.layers,
                jobPid: jobPid
            )
        }
        if !differences.isEmpty { throw .readBack(differences) }
    }

    private func openGate() throws(SpawnError) {
        // A daemon that was frozen here may have lost the attempt meanwhile.
        if let leasedUntil, leasedUntil <= .now {
            cancellation = .leaseLost
            throw .lost(during: "setup")
        }
        sendLease()
        try host("opening the gate") { () throws(Errno) in try link.signal(SBX_GATE) }
        link.setDeadline(after: request.policy.limits.wallTime + Self.deadlineGrace)
    }

    private func waitForEnd() async throws -> Ending {
        while true {
            switch await link.next() {
            case .message(.failed(.execve, let code)): executionError = code
            case .message(.seen(let call)) where result.calls.count < Self.callLimit:
                result.calls.append(call)
            case .message(.ended(let ending)): return ending
            case .message(.failed(let step, let code)): throw SpawnError.step(step, code)
            case .message, .launched: throw SpawnError.violation("a message out of turn")
            case .closed(let violation?): throw SpawnError.violation(violation)
            case .closed, .exited: throw SpawnError.lost(during: "the run")
            case .late: throw SpawnError.silent(during: "the run")
            }
        }
    }

    /// The job is over: reads the counters, and says how it ended.
    private func judge(_ ending: Ending) async {
        link.setDeadline(after: Self.teardownLimit)
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

    /// Until BYE: files of `/workspace/out`, within the policy's count whatever init sends.
    private func collect() async {
        let limit = Int(request.policy.limits.artifactCount)
        // The end of the channel is a signal too, behind everything that came before it.
        while true {
            switch await link.next() {
            case .message(.artifact(let path, let mode, let file)):
                guard found.count < limit else { return }
                found.append((path, mode, file))
            case .message(.refused(let path, let bytes, let reason)):
                guard result.refusedArtifacts.count < 64 else { return }
                result.refusedArtifacts.append(
                    RefusedArtifact(path: path, bytes: bytes, reason: reason)
                )
            case .message(.bye): return
            case let signal:
                // What came is kept; that it is not all is said.
                result.evidence.append(Evidence("artifacts_missing", "\(signal)"))
                return
            }
        }
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
            result.evidence = [Evidence("step", error.step), Evidence("reason", error.description)]
            if let code = error.errno {
                result.evidence.append(Evidence("errno", UInt64(code.rawValue)))
            }
        }
    }

    private func outputCame() {
        let limits = engine.layers.applied(to: request.policy.limits)
        guard jobStreams.totalBytes > limits.outputTotalBytes, !isOutputExceeded else { return }
        isOutputExceeded = true
        link.askToEnd()
    }

    private func host<Value>(
        _ doing: String,
        _ body: () throws(Errno) -> Value
    ) throws(SpawnError) -> Value {
        do throws(Errno) { return try body() } catch { throw .host(doing: doing, error) }
    }
}
