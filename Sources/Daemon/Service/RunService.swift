// SPDX-License-Identifier: Apache-2.0
internal import Egress
internal import Glibc
internal import Images
internal import Kernel
internal import Logging
internal import Policy
internal import Spawner

/// Turns what a caller asked for into a run: resolves, admits, and hands it to the engine.
actor RunService {
    /// A run that was let in. It must be run: its reservation is given back at its end.
    struct Admitted: Sendable {
        let request: RunRequest
        let sandbox: Sandbox
        let lease: ImageLease
        /// Whether it tries another image than the profile's, of which it tells nothing.
        let isTrial: Bool
        /// When it was let in.
        let at = Instant.now
    }

    nonisolated let catalogue: Catalogue
    nonisolated let store: ArtifactStore
    /// The account book; nil when this daemon has no database.
    nonisolated let ledger: Ledger?
    nonisolated let disk: DiskGuard
    nonisolated let engines: Engines
    /// Addresses of no public network that runs may reach all the same.
    private nonisolated let reachable: [EgressException]
    private nonisolated let secrets: SecretDirectory
    /// How secrets go to places that are to be spoken to over TLS.
    private nonisolated let tls: ServerTLS
    private let logger: Logger
    private var admission: Admission
    private var going: [AttemptID: Sandbox] = [:]
    private var whenIdle: [CheckedContinuation<Void, Never>] = []
    private var finished: UInt64 = 0

    init(
        catalogue: Catalogue,
        engines: Engines,
        store: ArtifactStore,
        admission: Admission,
        ledger: Ledger?,
        disk: DiskGuard,
        reachable: [EgressException],
        secrets: SecretDirectory,
        tls: ServerTLS,
        logger: Logger
    ) {
        self.tls = tls
        self.reachable = reachable
        self.secrets = secrets
        self.ledger = ledger
        self.disk = disk
        self.catalogue = catalogue
        self.engines = engines
        self.store = store
        self.admission = admission
        self.logger = logger
    }

    /// What `GET /v1/status` tells.
    struct Status: Sendable {
        var admission: Admission
        var finished: UInt64
        var missingLayers: [Layer]
    }

    /// The present state.
    var status: Status {
        Status(
            admission: admission,
            finished: finished,
            missingLayers: engines.native.layers.missing
        )
    }

    /// Memory that is not reserved, in MiB.
    var freeMiB: Int {
        admission.isOpen ? Int((admission.capacityBytes - admission.reservedBytes) >> 20) : 0
    }

    /// Refuses when the disk is too full for anything new.
    nonisolated func checkDisk() throws(APIError) {
        let state = disk.look()
        guard state.isOpen else {
            throw .diskFull(usedPercent: state.usedPercent ?? 100, limit: state.limitPercent)
        }
    }

    /// Checks a run as far as that can be done without making anything.
    nonisolated func check(_ spec: RunSpec) throws(APIError) {
        guard let entry = catalogue.entry(named: spec.profile) else {
            throw .unknownProfile(spec.profile, known: catalogue.names)
        }
        let policy = try APIError.refusing { () throws(PolicyError) in
            try entry.policy.tightened(by: spec.limits.tightening).opened(to: spec.allow)
        }
        if let wanted = try Self.engine(of: spec, policy) { try Engines.check(wanted, policy) }
        try Self.check(spec.secrets, policy)
        _ = try spec.request(
            attempt: .make(milliseconds: 0),
            policy: policy,
            image: RootImage(rootfs: "", digest: ""),
            isLive: false
        )
    }

    /// Refuses a direct run that needs a person's word by this node's own profile. The budgets' rules
    /// are the database's, which refuses by itself.
    nonisolated func checkApproval(_ spec: RunSpec) throws(APIError) {
        guard let policy = catalogue.entry(named: spec.profile)?.policy,
            policy.approval.isNeeded(askingFor: spec.allow)
        else { return }
        throw .needsApproval(profile: spec.profile)
    }

    /// Lets a run in, or says why not. Each that is let in must be performed and finished.
    func admit(
        _ spec: RunSpec,
        isLive: Bool,
        attempt: AttemptID? = nil,
        noLongerThan deadline: Duration? = nil
    ) throws(APIError) -> Admitted {
        guard let entry = catalogue.entry(named: spec.profile) else {
            throw .unknownProfile(spec.profile, known: catalogue.names)
        }
        try checkDisk()
        var tightening = spec.limits.tightening
        if let deadline {
            tightening.wallTime = min(tightening.wallTime ?? entry.policy.limits.wallTime, deadline)
        }
        let policy = try APIError.refusing { () throws(PolicyError) in
            try entry.policy.tightened(by: tightening).opened(to: spec.allow)
        }
        let engine = try engines.choice(for: policy, wanted: try Self.engine(of: spec, policy))
        let image = try catalogue.image(of: policy, trying: spec.image)
        var request = try spec.request(
            attempt: attempt ?? .make(milliseconds: Self.milliseconds()),
            policy: policy,
            image: image.root,
            isLive: isLive
        )
        try Self.check(spec.secrets, policy)
        let headers = try give(spec.secrets, to: &request)
        request.gateway = policy.network.open.map {
            EgressGateway($0, exceptions: reachable, headers: headers)
        }
        // A control run only: what the daemon was started with is nobody's business.
        if !engine.layers.has(.environment) {
            request.environment.merge(Environment.all) { $1 }
        }
        do throws(Admission.Refusal) {
            try admission.admit(bytes: policy.limits.memoryBytes + policy.limits.swapBytes)
        } catch {
            throw .notAdmitted(error)
        }
        let sandbox = Sandbox(request, engine: engine, filter: entry.filter, store: store)
        going[request.attempt] = sandbox
        return Admitted(
            request: request,
            sandbox: sandbox,
            lease: image.lease,
            isTrial: spec.image != nil
        )
    }

    /// The engine that a run must have; nil is any of the policy's. A container's own filter refuses
    /// before init is asked, so what was refused can be told by the native engine alone.
    private static func engine(
        of spec: RunSpec,
        _ policy: Policy
    ) throws(APIError) -> EngineKind? {
        guard spec.witness != .none else { return spec.engine }
        guard spec.engine != .docker, policy.engines.contains(.native) else {
            throw .invalid(
                "'explain' is for the native engine: in a container the engine's own filter says no "
                    + "first, and tells nobody"
            )
        }
        return .native
    }

    /// Refuses secrets that the policy does not let a run ask for, or that would go nowhere.
    private static func check(_ secrets: [SecretSpec], _ policy: Policy) throws(APIError) {
        for secret in secrets {
            try APIError.refusing { () throws(PolicyError) in try policy.check(secret: secret.name)
            }
            guard let place = secret.target?.place else { continue }
            let rules = policy.network.open?.allow ?? []
            guard rules.contains(where: { $0.allows(place.host, port: place.port) }) else {
                throw .invalid(
                    "the secret '\(secret.name)' is for \(place), which this run may not reach"
                )
            }
        }
    }

    /// Puts secrets into files of the request, and answers those that are for headers.
    private nonisolated func give(
        _ wanted: [SecretSpec],
        to request: inout RunRequest
    ) throws(APIError) -> [HeaderRule] {
        var headers: [HeaderRule] = []
        do throws(SecretDirectory.Refusal) {
            for secret in wanted {
                if let target = secret.target {
                    headers.append(try header(secret.name, for: target))
                } else {
                    request.files.append(
                        InputFile(
                            path: Array(".secrets/\(secret.name)".utf8),
                            content: try secrets.read(secret.name),
                            mode: 0o400
                        )
                    )
                }
            }
        } catch {
            throw .secret(error)
        }
        return headers
    }

    private nonisolated func header(
        _ secret: String,
        for target: SecretSpec.Target
    ) throws(SecretDirectory.Refusal) -> HeaderRule {
        if target.isOverTLS {
            do throws(ServerTLS.Refusal) { try tls.load() } catch { throw .noTLS(secret, error) }
        }
        return HeaderRule(
            place: target.place,
            name: target.header,
            value: try secrets.header(secret),
            tls: target.isOverTLS ? tls : nil
        )
    }

    /// Runs it to its end. Cancelling the task cancels the run.
    nonisolated func perform(
        _ admitted: Admitted,
        permission: @escaping Sandbox.Permission = { _ in }
    ) async -> RunResult {
        await admitted.sandbox.run(permission: permission)
    }

    /// Takes back the reservation, when a run has ended and been settled.
    func finished(_ admitted: Admitted, _ result: RunResult) {
        finished += 1
        log(result)
        forget(admitted)
    }

    /// The same for a run that was refused after its admission: nothing of it ran.
    func forget(_ admitted: Admitted) {
        let limits = admitted.request.policy.limits
        admission.release(bytes: limits.memoryBytes + limits.swapBytes)
        going[admitted.request.attempt] = nil
        if going.isEmpty {
            let waiting = whenIdle
            whenIdle = []
            for continuation in waiting { continuation.resume() }
        }
    }

    /// Lets nobody in any more, cancels what goes on, and waits until all of it is torn down.
    func stop() async {
        admission.isOpen = false
        for sandbox in going.values { await sandbox.cancel() }
        while !going.isEmpty {
            await withCheckedContinuation { whenIdle.append($0) }
        }
    }

    private func log(_ result: RunResult) {
        if !result.receipt.isClean {
            logger.error(
                "attempt \(result.attempt) left something behind: \(result.receipt)"
            )
        }
        if result.verdict == .engineError {
            let why = result.evidence.map { "\($0.name)=\($0.value)" }.joined(separator: " ")
            logger.error("attempt \(result.attempt) of '\(result.profile)': \(why)")
        } else {
            logger.debug(
                """
                attempt \(result.attempt) of '\(result.profile)': \(result.verdict.word), \
                \(result.timing.total) ms
                """
            )
        }
    }

    /// Wall clock: only to name attempts by.
    private static func milliseconds() -> UInt64 {
        var time = timespec()
        // Cannot fail: the clock exists and the pointer is ours.
        _ = clock_gettime(CLOCK_REALTIME, &time)
        return UInt64(time.tv_sec) * 1000 + UInt64(time.tv_nsec) / 1_000_000
    }
}
