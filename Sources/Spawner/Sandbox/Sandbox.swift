// SPDX-License-Identifier: Apache-2.0
internal import CChannel
internal import CLinux
internal import Glibc
internal import Kernel
internal import Policy
internal import SystemPackage

/// One attempt, from its sandbox's birth to the proof that nothing is left of it.
///
/// The same for every engine: the engine makes the isolated place; this talks to init in it, lets
/// the job out of the gate only when the kernel's own account agrees with the policy, and always
/// ends with a result. It runs on the engine's event loop.
package actor Sandbox {
    /// What can happen to it, in the order in which it happened.
    private enum Signal {
        case launched(Result<Descriptor, SpawnError>)
        case message(InitMessage)
        case closed(violation: String?)
        case exited
        case late
    }

    /// How long init may take to make the sandbox, and to go away.
    private static let setupLimit = Duration.seconds(20)
    private static let teardownLimit = Duration.seconds(20)
    /// init ends the job at its deadline by itself; after this much more the daemon ends init.
    private static let deadlineGrace = Duration.seconds(5)

    package nonisolated var unownedExecutor: UnownedSerialExecutor {
        loop.asUnownedSerialExecutor()
    }

    private nonisolated let loop: EventLoop
    private let engine: any Engine
    private let request: RunRequest
    private let filter: [UInt8]
    private let store: ArtifactStore

    private var channel: Channel?
    private var cell: Cell?
    private var initProcess: Descriptor?
    private var initWatch: EventLoop.Watch?
    private var input: InputPipe?
    private var output: OutputPipe?
    private var errorOutput: OutputPipe?

    private var signals: [Signal] = []
    private var waiter: CheckedContinuation<Void, Never>?
    private var timer: EventLoop.Timer?

    private var isLaunchPending = false
    private var hasExited = false
    private var isClosed = false
    private var isCancelled = false
    private var isOutputExceeded = false
    private var isFinished = false
    private var hasInputEnded = false
    private var inputWaiters: [CheckedContinuation<Void, Never>] = []
    private var outputWaiter: CheckedContinuation<Void, Never>?

    private var counters = CgroupCounters()
    private var executionError: Errno?
    private var found: [(path: [UInt8], mode: UInt32, file: Descriptor)] = []
    private var result: RunResult

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
        result = RunResult(
            attempt: request.attempt,
            profile: request.policy.name,
            engine: engine.name,
            imageDigest: request.image.digest
        )
    }

    // MARK: For the caller

    /// Runs the attempt to its end. Cancelling the calling task cancels the run; also then it comes
    /// back only when everything is torn down.
    package func run() async -> RunResult {
        await withTaskCancellationHandler {
            await perform()
        } onCancel: {
            loop.post { self.assumeIsolated { $0.cancel() } }
        }
    }

    /// The next pieces of live output; empty when the run is over and all has been told.
    package func nextOutput() async -> [OutputChunk] {
        while true {
            let chunks = [output?.take(), errorOutput?.take()].compactMap { $0 }
            if !chunks.isEmpty || isFinished { return chunks }
            await withCheckedContinuation { outputWaiter = $0 }
        }
    }

    /// Writes to the job's standard input, once there is one; comes back when the pipe has taken it,
    /// or when nobody will ever read it.
    package func feed(_ bytes: [UInt8]) async {
        while input == nil, !isFinished {
            await withCheckedContinuation { inputWaiters.append($0) }
        }
        await input?.feed(bytes)
    }

    /// The end of the job's standard input, after what was fed.
    package func endInput() {
        hasInputEnded = true
        input?.end()
    }

    private func wakeFeeders() {
        let waiting = inputWaiters
        inputWaiters = []
        for continuation in waiting { continuation.resume() }
    }

    /// Ends the run with the verdict `cancelled`, unless it has ended already.
    package func cancel() {
        guard !isFinished, !isCancelled else { return }
        isCancelled = true
        killInit()
    }

    // MARK: The life of a run

    private func perform() async -> RunResult {
        let began = Instant.now
        var gate = began
        var ended = began
        do {
            try await make()
            try openGate()
            gate = .now
            await engine.jobStarted(request)
            let ending = try await waitForEnd()
            ended = .now
            await judge(ending)
        } catch let error as SpawnError {
            ended = .now
            fail(error)
        } catch {
            ended = .now
            fail(.lost(during: "\(error)"))
        }
        await tearDown()
        await keepArtifacts()
        let done = Instant.now
        result.timing.setup = gate.milliseconds(since: began)
        result.timing.run = gate == began ? 0 : ended.milliseconds(since: gate)
        if hasFailed { result.usage.wallMilliseconds = result.timing.run }
        result.timing.teardown = done.milliseconds(since: ended)
        result.timing.total = done.milliseconds(since: began)
        isFinished = true
        wakeFeeders()
        outputWaiter?.resume()
        outputWaiter = nil
        return result
    }

    /// Everything up to the gate.
    private func make() async throws {
        setDeadline(after: Self.setupLimit)
        let cell = try await engine.begin(request) { [self] answer in
            self.assumeIsolated { $0.signal(.launched(answer)) }
        }
        self.cell = cell
        if initProcess == nil { isLaunchPending = signals.isEmpty }
        guard let control = cell.control else { throw SpawnError.lost(during: "setup") }
        channel = try host("epoll_ctl") { () throws(Errno) in
            try Channel(control, on: loop) { [unowned self] event in
                self.assumeIsolated { $0.handle(event) }
            }
        }
        let limits = CgroupLimits(request.policy.limits)
        do throws(CgroupError) { try cell.cgroup.apply(limits) } catch {
            throw SpawnError.cgroup(error)
        }
        try host("writing to init") { () throws(Errno) in try sendPlan(cell) }
        let jobPid = try await waitForReady()
        try readBack(jobPid, limits)
        if isCancelled { throw SpawnError.lost(during: "cancellation") }
    }

    private func sendPlan(_ cell: Cell) throws(Errno) {
        guard let channel else { return }
        let (plan, trailing, meters) = PlanMessage.plan(
            policy: request.policy,
            filter: filter,
            cell: cell
        )
        try channel.send(SBX_PLAN, plan, trailing: trailing, descriptors: meters)
        let (command, strings) = PlanMessage.command(request)
        try channel.send(SBX_COMMAND, command, descriptors: try openStreams())
        let piece = Int(SBX_MESSAGE_MAX) - 64
        for start in stride(from: 0, to: strings.count, by: piece) {
            let end = min(start + piece, strings.count)
            try channel.send(SBX_BLOB, sbx_blob(), trailing: Array(strings[start..<end]))
        }
        for file in request.files {
            let content = try Descriptor.memory(file.content, name: "input")
            let message = sbx_file(
                header: sbx_header(),
                bytes: UInt64(file.content.count),
                mode: file.mode,
                padding: 0
            )
            try channel.send(SBX_FILE, message, trailing: file.path, descriptors: [content])
        }
        try channel.signal(SBX_START)
    }

    /// The job's ends of its three streams.
    private func openStreams() throws(Errno) -> [Descriptor] {
        let limits = request.policy.limits
        let (outReading, outWriting) = try Descriptor.pipe()
        let (errorReading, errorWriting) = try Descriptor.pipe()
        output = try OutputPipe(
            outReading,
            .stdout,
            limit: limits.outputBytes,
            isLive: request.isLive,
            on: loop
        ) { [unowned self] in self.assumeIsolated { $0.outputCame() } }
        errorOutput = try OutputPipe(
            errorReading,
            .stderr,
            limit: limits.outputBytes,
            isLive: request.isLive,
            on: loop
        ) { [unowned self] in self.assumeIsolated { $0.outputCame() } }
        guard request.input != .empty else {
            return [try Descriptor.open("/dev/null", O_RDONLY), outWriting, errorWriting]
        }
        let (inReading, inWriting) = try Descriptor.pipe()
        let pipe = try InputPipe(inWriting, on: loop)
        if case .bytes(let bytes) = request.input { pipe.fill(bytes) }
        input = pipe
        if hasInputEnded { pipe.end() }
        wakeFeeders()
        return [inReading, outWriting, errorWriting]
    }

    private func waitForReady() async throws -> Int32 {
        var jobPid: Int32?
        while jobPid == nil || initProcess == nil {
            switch await nextSignal() {
            case .launched(.success(let process)): try adopt(process)
            case .launched(.failure(let error)): throw error
            case .message(.ready(let pid)) where jobPid == nil: jobPid = pid
            case .message(.failed(let step, let code)): throw SpawnError.step(step, code)
            case .message: throw SpawnError.violation("a message out of turn during setup")
            case .closed(let violation?): throw SpawnError.violation(violation)
            case .closed, .exited: throw SpawnError.lost(during: "setup")
            case .late: throw SpawnError.silent(during: "setup")
            }
        }
        return jobPid ?? 0
    }

    private func adopt(_ process: Descriptor) throws(SpawnError) {
        initProcess = process
        initWatch = try host("epoll_ctl") { () throws(Errno) in
            try loop.watch(process, for: .readable) { [unowned self] in
                self.assumeIsolated { $0.initExited() }
            }
        }
        // Whoever cancelled before there was a process to end.
        if isCancelled { killInit() }
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
        try host("opening the gate") { () throws(Errno) in try channel?.signal(SBX_GATE) }
        setDeadline(after: request.policy.limits.wallTime + Self.deadlineGrace)
    }

    private func waitForEnd() async throws -> Ending {
        while true {
            switch await nextSignal() {
            case .message(.failed(.execve, let code)): executionError = code
            case .message(.ended(let ending)): return ending
            case .message(.failed(let step, let code)): throw SpawnError.step(step, code)
            case .message, .launched: throw SpawnError.violation("a message out of turn")
            case .closed(let violation?): throw SpawnError.violation(violation)
            case .closed, .exited: throw SpawnError.lost(during: "the run")
            case .late: throw SpawnError.silent(during: "the run")
            }
        }
    }

    /// The job is over: reads the counters, takes what init hands out, and says how it ended.
    private func judge(_ ending: Ending) async {
        setDeadline(after: Self.teardownLimit)
        closeStreams()
        readCounters()
        let judgement = Judgement(
            limits: request.policy.limits,
            ending: ending,
            counters: counters,
            executionError: executionError,
            isCancelled: isCancelled,
            outputBytes: (output?.totalBytes ?? 0) + (errorOutput?.totalBytes ?? 0),
            isOutputExceeded: isOutputExceeded
        )
        (result.verdict, result.evidence) = judgement.verdict()
        result.usage.wallMilliseconds = Double(ending.wallNanoseconds) / 1_000_000
        result.usage.workspaceBytes = ending.workspaceBytes
        result.usage.workspaceInodes = ending.workspaceInodes
        await collect()
    }

    /// Until BYE: files of `/workspace/out`, within the policy's count whatever init sends.
    private func collect() async {
        let limit = Int(request.policy.limits.artifactCount)
        // The end of the channel is a signal too, behind everything that came before it.
        while true {
            switch await nextSignal() {
            case .message(.artifact(let path, let mode, let file)):
                guard found.count < limit else { return }
                found.append((path, mode, file))
            case .message(.refused(let path, let bytes, let reason)):
                guard result.refusedArtifacts.count < 64 else { return }
                result.refusedArtifacts.append(
                    RefusedArtifact(path: path, bytes: bytes, reason: reason)
                )
            default:
                return
            }
        }
    }

    private func fail(_ error: SpawnError) {
        closeStreams()
        result.verdict = isCancelled ? .cancelled : .engineError
        guard !isCancelled else { return }
        result.evidence = [Evidence("step", error.step), Evidence("reason", error.description)]
        if let code = error.errno {
            result.evidence.append(Evidence("errno", UInt64(code.rawValue)))
        }
    }

    // MARK: Teardown

    /// Whether init did not bring the run to its own end.
    private var hasFailed: Bool {
        result.verdict == .engineError || result.verdict == .cancelled
    }

    /// Ends whatever lives, removes what was made, and writes the receipt of it.
    private func tearDown() async {
        setDeadline(after: Self.teardownLimit)
        if let cell, !hasExited, hasFailed {
            // Where the kernel has no such call, or refuses it, init's death does the same.
            try? cell.cgroup.kill()
        }
        await waitForExit()
        timer.map(loop.cancel)
        closeChannel()
        result.receipt.initDead = hasExited || initProcess == nil
        if let cell {
            if hasFailed { readCounters() }
            await remove(cell)
            if hasExited || initProcess == nil { await engine.end(cell) }
        } else {
            result.receipt.processesLeft = 0
            result.receipt.cgroupRemoved = true
        }
        result.receipt.namespacesReleased =
            result.receipt.initDead && result.receipt.processesLeft == 0
        settleUsage()
    }

    /// Waits for init's death. A healthy one ends by itself after BYE; any other is killed.
    private func waitForExit() async {
        if hasFailed { killInit() }
        while !hasExited {
            if initProcess == nil, !isLaunchPending { return }
            switch await nextSignal() {
            case .launched(.success(let process)):
                // Failing to watch it leaves the wait to the deadline.
                try? adopt(process)
                killInit()
            case .launched(.failure): return
            case .late:
                result.receipt.problems.append("init did not end in time")
                killInit()
                return
            default: continue
            }
        }
    }

    private func remove(_ cell: Cell) async {
        do throws(Errno) {
            result.receipt.processesLeft = try cell.cgroup.isEmpty() ? 0 : 1
            try cell.cgroup.remove()
            result.receipt.cgroupRemoved = true
        } catch .resourceBusy {
            await removeBusy(cell)
        } catch {
            result.receipt.problems.append("removing the cgroup: \(error)")
        }
    }

    /// A process that has just died may count for a moment longer, and no event tells when it no
    /// longer does (v1).
    private func removeBusy(_ cell: Cell) async {
        for _ in 0..<200 {
            await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
                _ = loop.schedule(at: .now.advanced(by: .milliseconds(5))) { continuation.resume() }
            }
            do throws(Errno) {
                result.receipt.processesLeft = try cell.cgroup.isEmpty() ? 0 : 1
                try cell.cgroup.remove()
                result.receipt.cgroupRemoved = true
                return
            } catch {
                // Said below when it stays so.
                continue
            }
        }
        result.receipt.problems.append("the cgroup stayed busy for a second")
    }

    private func keepArtifacts() async {
        var bytesLeft = request.policy.limits.artifactBytes
        for (path, mode, file) in found {
            do throws(Errno) {
                guard let kept = try await store.keep(file, limit: bytesLeft) else {
                    refuse(path, .bytes)
                    continue
                }
                bytesLeft -= kept.bytes
                result.artifacts.append(
                    Artifact(path: path, bytes: kept.bytes, mode: mode, sha256: kept.sha256)
                )
            } catch {
                refuse(path, .store)
            }
        }
        found = []
    }

    private func refuse(_ path: [UInt8], _ reason: RefusedArtifact.Reason) {
        result.refusedArtifacts.append(RefusedArtifact(path: path, bytes: 0, reason: reason))
    }

    // MARK: Counters

    private func readCounters() {
        guard let cell else { return }
        do throws(Errno) { counters = try cell.cgroup.counters() } catch {
            result.receipt.problems.append("reading the counters: \(error)")
        }
    }

    private func settleUsage() {
        result.usage.cpuMilliseconds = Double(counters.cpuMicroseconds) / 1000
        result.usage.cpuUserMilliseconds = Double(counters.cpuUserMicroseconds) / 1000
        result.usage.cpuSystemMilliseconds =
            result.usage.cpuMilliseconds - result.usage.cpuUserMilliseconds
        result.usage.memoryPeakBytes = counters.memoryPeakBytes
        // Without init.
        result.usage.pidsPeak = counters.pidsPeak.map { $0 > 0 ? $0 - 1 : 0 }
        result.output = output?.kept ?? KeptOutput()
        result.errorOutput = errorOutput?.kept ?? KeptOutput()
        for kept in [result.output, result.errorOutput] {
            result.usage.outputKeptBytes += UInt64(kept.head.count + kept.tail.count)
            result.usage.outputDroppedBytes += kept.droppedBytes
        }
    }

    /// What was kept and not told live; after `run`.
    package func restOfOutput() -> [OutputChunk] {
        [output?.takeRest(), errorOutput?.takeRest()].compactMap { $0 }
    }

    private func closeStreams() {
        input?.close()
        output?.close()
        errorOutput?.close()
    }

    private func outputCame() {
        let total = (output?.totalBytes ?? 0) + (errorOutput?.totalBytes ?? 0)
        if total > request.policy.limits.outputTotalBytes, !isOutputExceeded {
            isOutputExceeded = true
            askToEnd()
        }
        outputWaiter?.resume()
        outputWaiter = nil
    }

    // MARK: Signals

    /// Has init end the job, so that what it left still comes out.
    private func askToEnd() {
        // A channel that does not take it is closed or stuck, which the wait for the end notices.
        try? channel?.signal(SBX_KILL)
    }

    /// Ends init, and with it everything in its PID namespace.
    private func killInit() {
        guard let initProcess else { return }
        // It fails for a process that is dead already.
        _ = clx_pidfd_kill(initProcess.number, SIGKILL)
    }

    /// Lets go of the control channel: an init that still listens ends.
    private func closeChannel() {
        channel?.close()
        channel = nil
        cell?.control = nil
    }

    private func handle(_ event: Channel.Event) {
        switch event {
        case .closed(let violation):
            isClosed = true
            signal(.closed(violation: violation))
        case .packet(let packet):
            if let message = InitMessage(packet) {
                signal(.message(message))
            } else {
                channel?.close()
                isClosed = true
                signal(.closed(violation: "message \(packet.type) does not decode"))
            }
        }
    }

    private func initExited() {
        if let initWatch { loop.unwatch(initWatch) }
        initWatch = nil
        hasExited = true
        signal(.exited)
    }

    private func signal(_ signal: Signal) {
        if case .launched = signal { isLaunchPending = false }
        signals.append(signal)
        waiter?.resume()
        waiter = nil
    }

    /// The next signal. init's death is told only after everything it had said.
    private func nextSignal() async -> Signal {
        while true {
            if let index = signals.firstIndex(where: { isDue($0) }) {
                return signals.remove(at: index)
            }
            await withCheckedContinuation { waiter = $0 }
        }
    }

    private func isDue(_ signal: Signal) -> Bool {
        if case .exited = signal { return isClosed }
        return true
    }

    private func setDeadline(after duration: Duration) {
        timer.map(loop.cancel)
        timer = loop.schedule(at: .now.advanced(by: duration)) { [unowned self] in
            self.assumeIsolated { $0.signal(.late) }
        }
    }

    private func host<Value>(
        _ doing: String,
        _ body: () throws(Errno) -> Value
    ) throws(SpawnError) -> Value {
        do throws(Errno) { return try body() } catch { throw .host(doing: doing, error) }
    }
}
