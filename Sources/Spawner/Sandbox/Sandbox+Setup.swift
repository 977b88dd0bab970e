// SPDX-License-Identifier: Apache-2.0
internal import CChannel
internal import Kernel
internal import Policy
internal import SystemPackage

/// From the engine's cell to a sandbox that is what the policy says, with its gate shut.
extension Sandbox {
    /// Everything up to the gate.
    func make() async throws {
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
        // Not before: calls to a container engine have limits of their own, which the operator sets.
        link.setDeadline(after: patience.setup)
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
        isReadBack = true
        try checkWanted()
    }

    func checkWanted() throws(SpawnError) {
        if cancellation != nil { throw .lost(during: "cancellation") }
    }

    private func sendPlan(_ cell: Cell) throws(Errno) {
        let (plan, trailing, meters) = PlanMessage.plan(
            policy: request.policy,
            filter: filter,
            cell: cell,
            proxyPort: request.gateway?.port ?? 0,
            witness: witness
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

    /// Without a filter there is nothing to be witnessed.
    var witness: Witness { engine.layers.has(.seccomp) ? request.witness : .none }

    /// The job's ends of its three streams.
    private func openStreams() throws(Errno) -> [Descriptor] {
        try jobStreams.open(request.input, limits: engine.layers.applied(to: request.policy.limits))
    }

    private func waitForReady() async throws -> (jobPid: Int32, listener: Descriptor?) {
        var jobPid: Int32?
        var listener: Descriptor?
        var isLaunched = false
        while jobPid == nil || !isLaunched {
            switch await link.next() {
            case .launched:
                isLaunched = true
                // Whoever cancelled before there was a process to end.
                if cancellation != nil { link.kill() }
            case .message(.ready(let pid)) where jobPid == nil: jobPid = pid
            case .message(.listener(let socket)) where listener == nil && jobPid == nil:
                listener = socket
            case let signal: throw setupError(signal)
            }
        }
        return (jobPid ?? 0, listener)
    }

    /// Why there is no sandbox, when this is heard before the gate opens: nothing ran.
    func setupError(_ signal: InitLink.Signal) -> SpawnError {
        switch signal {
        case .notLaunched(let error): error
        case .message(.failed(let step, let code)): .step(step, code)
        case .closed(let violation?): .violation(violation)
        // The job's process, too, can be killed before it is the job.
        case .closed, .exited, .message(.ended): .lost(during: "setup")
        // And what a witness has seen of it by then comes before its end.
        case .message(.seen) where witness != .none: .lost(during: "setup")
        case .late: .silent(during: "setup")
        case .message, .launched: .violation("a message out of turn during setup")
        }
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

    func host<Value>(
        _ doing: String,
        _ body: () throws(Errno) -> Value
    ) throws(SpawnError) -> Value {
        do throws(Errno) { return try body() } catch { throw .host(doing: doing, error) }
    }
}
