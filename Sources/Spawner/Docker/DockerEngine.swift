// SPDX-License-Identifier: Apache-2.0
internal import CChannel
package import DockerAPI
internal import Glibc
internal import JSON
package import Kernel
internal import Policy
internal import SystemPackage

/// Makes sandboxes in containers of a Docker or Podman, through its socket; of a rootless one,
/// unless the operator allows another.
///
/// The container is the outer wall and brings the image; its process 1 is `sandboxd-init`, which
/// makes in it the sandbox that the native engine makes without one (`container.c`). Everything
/// after that is `Sandbox`, read-back included.
package actor DockerEngine: Engine {
    /// What it is told once.
    package struct Configuration: Sendable {
        /// This daemon's name among those that use the engine: it finds its containers by it.
        package var node: String
        /// A directory of the daemon's for what containers are given.
        package var directory: String
        /// The program that each container starts.
        package var program: InitProgram
        /// The image store whose copies in the engine are used, by its name in their labels.
        package var store: String
        /// How long any call of the engine's may take.
        package var patience: Duration
        /// Whether an engine that runs as root may be used.
        package var allowsRootful: Bool

        package init(
            node: String,
            directory: String,
            program: InitProgram,
            store: String,
            patience: Duration,
            allowsRootful: Bool = false
        ) {
            self.node = node
            self.directory = directory
            self.program = program
            self.store = store
            self.patience = patience
            self.allowsRootful = allowsRootful
        }

        /// The same as a call's limits.
        var limits: CallLimits { CallLimits(deadline: patience) }
    }

    package static let rootfulWarning =
        "the engine runs as root (--allow-rootful): whoever escapes from a container is root"

    static let connectLimit = Duration.seconds(15)
    /// How often, and how long in between, a removal is tried: five seconds in all.
    static let removalLooks = 50
    static let removalPause = Duration.milliseconds(100)
    /// How often a container that has not connected is looked at.
    static let connectLook = Duration.milliseconds(250)

    package nonisolated let name = "docker"
    package nonisolated let loop: EventLoop
    package nonisolated let layers: Layers
    /// This daemon's name among those that use the engine.
    package nonisolated var node: String { configuration.node }
    package nonisolated var unownedExecutor: UnownedSerialExecutor {
        loop.asUnownedSerialExecutor()
    }

    let client: DockerClient
    let configuration: Configuration
    private let cgroups: any CgroupTree
    let ids: SubordinateIDs
    /// The engine's ids of images, by our digests.
    private var images: [String: String] = [:]
    /// Whether the engine is asked at all.
    package nonisolated let circuit: EngineCircuit
    private var probed: (info: EngineInfo, metering: Metering)?
    var places: [String: ContainerInUse] = [:]
    var withheld = WithheldIDs()
    private var nextCell: UInt64 = 0

    /// `without` names layers to leave out; every other value than none is for control runs.
    package init(
        _ client: DockerClient,
        loop: EventLoop,
        cgroups: any CgroupTree,
        ids: SubordinateIDs,
        configuration: Configuration,
        circuit: EngineCircuit = EngineCircuit(),
        without: [Layer] = []
    ) {
        self.client = client
        self.loop = loop
        self.cgroups = cgroups
        self.ids = ids
        self.configuration = configuration
        self.circuit = circuit
        layers = Layers(without: without)
    }

    package var inventory: Set<String> { Set(places.keys) }

    var limits: CallLimits { configuration.limits }

    package func jobStarted(_ request: RunRequest) {}

    /// Lets process 1 of the container end, while artifacts are still being taken out.
    package func jobEnded(in cell: Cell) { places[cell.id]?.stem.close() }

    /// Asks the engine what it is; throws `SpawnError` when it must not or cannot be used.
    @discardableResult
    package func probe() async throws(SpawnError) -> EngineInfo {
        let info = try await asking { () throws(DockerError) in
            try await client.info(limits: limits)
        }
        do throws(SpawnError) {
            let metering = try info.metering(
                cgroupVersion: cgroups.version,
                allowsRootful: configuration.allowsRootful
            )
            probed = (info, metering)
        } catch {
            circuit.failed("\(error)")
            throw error
        }
        return info
    }

    /// For people: what the engine is, who limits its containers, and why it is not used, if so.
    package struct Status: Sendable {
        package var engine: String?
        package var caps: String?
        package var reason: String?
        /// What an operator should be reminded of, though it is used.
        package var warning: String?
    }

    /// Why nothing is known of the engine.
    private var unknown: String {
        let reason = circuit.state.reason
        return reason.isEmpty ? "it has not been asked yet" : reason
    }

    /// Asks the engine what it is, when nothing is known of it and it may be asked again. Answers
    /// what was found out; nil when nothing was asked.
    package func look() async -> Result<EngineInfo, SpawnError>? {
        guard probed == nil, circuit.refusal() == nil else { return nil }
        do throws(SpawnError) { return .success(try await probe()) } catch {
            return .failure(error)
        }
    }

    /// What is known now; nothing is asked.
    package func status() -> Status {
        Status(
            engine: probed.map { "\($0.info.engine)" },
            caps: probed.map { $0.metering == .engine ? "engine" : "sandboxd" },
            reason: circuit.refusal() ?? (probed == nil ? unknown : nil),
            warning: probed.flatMap { $0.info.isRootful ? Self.rootfulWarning : nil }
        )
    }

    // MARK: Making

    package func begin(_ request: RunRequest, _ launched: @escaping Launched) async throws -> Cell {
        if let reason = circuit.refusal() {
            throw SpawnError.engine(step: "docker circuit", reason: reason)
        }
        if probed == nil { _ = try await probe() }
        guard let probed else { throw SpawnError.lost(during: "the engine's probe") }
        nextCell += 1
        let id = "docker-\(nextCell)"
        let place = ContainerInUse(
            name: "sandboxd-\(request.attempt)",
            slot: try ids.take(),
            loop: loop
        )
        places[id] = place
        do {
            if let runtime = request.policy.runtime { try probed.info.check(runtime: runtime) }
            let image = try await image(request.image)
            let body = try prepare(place, id, request, image: image, probed)
            try await start(place, body, of: request.image)
            let process = try await connect(place)
            let cell = try launch(place, id, request, process: process, probed.metering, launched)
            circuit.worked()
            return cell
        } catch {
            // The first error is the one to tell; what cannot be undone now is a stray.
            _ = await takeBack(id)
            try? place.cgroup?.remove()
            throw error
        }
    }

    /// The engine's id of an image, which it was loaded with a label for.
    private func image(_ image: RootImage) async throws(SpawnError) -> String {
        if let known = images[image.digest] { return known }
        let found = try await asking { () throws(DockerError) in
            try await client.images(
                labels: [ContainerPlace.Label.image: image.digest],
                limits: limits
            )
        }
        // Another store may have loaded the same for itself.
        let ours = found.filter { $0.labels[ContainerPlace.Label.store] == configuration.store }
        let ids = Set((ours.isEmpty ? found : ours).map(\.id))
        guard let id = ids.first, ids.count == 1 else {
            // An image that somebody built on top of ours has its label too.
            let reason =
                ids.isEmpty
                ? "the engine has no image \(image.digest): load it with 'sandboxd image load'"
                : "\(ids.count) images of the engine say that they are \(image.digest) "
                    + "(\(ids.sorted().joined(separator: ", "))): remove those that are not"
            throw .engine(step: "docker image", reason: reason)
        }
        images[image.digest] = id
        return id
    }

    /// Everything that is the daemon's: the directory, the cgroup, and what to ask for.
    private func prepare(
        _ place: ContainerInUse,
        _ id: String,
        _ request: RunRequest,
        image: String,
        _ probed: (info: EngineInfo, metering: Metering)
    ) throws(SpawnError) -> JSONValue {
        let isPodman = probed.info.engine.kind == .podman
        // Never the name of an earlier daemon's, of which something may be left.
        let path = configuration.directory + "/\(request.attempt)"
        let filter = isPodman ? request.policy.containerFilter().bytes : nil
        do throws(Errno) {
            place.directory = try AttemptDirectory(
                path: path,
                program: configuration.program.bytes,
                filter: filter,
                isForAnyone: probed.info.isRootful
            )
        } catch {
            throw .host(doing: "making \(path)", error)
        }
        if case .own = probed.metering {
            do throws(CgroupError) { place.cgroup = try cgroups.make(id) } catch {
                throw .cgroup(error)
            }
        }
        let described = ContainerPlace(
            image: image,
            node: configuration.node,
            attempt: request.attempt.description,
            deadline: Self.deadline(request.policy.limits),
            directory: path,
            filter: isPodman ? .file(path + "/" + AttemptDirectory.filterName) : .inline,
            isCapped: probed.metering == .engine,
            needsUnmask: isPodman,
            runtime: request.policy.runtime,
            owner: probed.info.isRootful ? owner : nil
        )
        if probed.metering == .engine { place.ownTasks = described.ownTasks }
        place.isRootful = probed.info.isRootful
        let body = request.policy.containerBody(described)
        let problems = ContainerSchema.problems(in: body, directory: path)
        guard problems.isEmpty else {
            throw .engine(
                step: "docker create",
                reason: "what would be asked for is not allowed: "
                    + problems.joined(separator: "; ")
            )
        }
        return body
    }

    /// Whose an engine of root's makes its sandboxes: this daemon's user's.
    private var owner: ContainerPlace.Owner {
        ContainerPlace.Owner(
            user: getuid(),
            group: getgid(),
            firstUser: ids.users.start,
            users: ids.users.count,
            firstGroup: ids.groups.start,
            groups: ids.groups.count
        )
    }

    /// When whatever is left of it may be taken for left behind, for people who look at labels.
    private static func deadline(_ limits: Limits) -> UInt64 {
        UInt64(time(nil)) + limits.wallTime.wholeNanoseconds / 1_000_000_000 + 60
    }

    private func start(
        _ place: ContainerInUse,
        _ body: JSONValue,
        of image: RootImage
    ) async throws(SpawnError) {
        place.mayExist = true
        let id = try await asking { () throws(DockerError) in
            do throws(DockerError) {
                return try await client.create(name: place.name, body: body, limits: limits).id
            } catch {
                // The image is not there any more; another of the same digest may have come.
                if error.status == 404 { images[image.digest] = nil }
                throw error
            }
        }
        place.container = id
        try await asking { () throws(DockerError) in try await client.start(id, limits: limits) }
    }

    private func launch(
        _ place: ContainerInUse,
        _ id: String,
        _ request: RunRequest,
        process: Int32,
        _ metering: Metering,
        _ launched: @escaping Launched
    ) throws(SpawnError) -> Cell {
        guard let connection = place.connection else { throw .lost(during: "launch") }
        let cgroup = try cgroup(place, process)
        try checkIDs(place.slot, process)
        do throws(Errno) {
            let (ours, theirs) = try Channel.pair()
            try sendTemplate(ours, request, place.slot)
            try place.stem.launch(
                over: connection,
                slot: place.slot,
                control: theirs,
                layers: layers,
                launched
            )
            return Cell(
                id: id,
                cgroup: cgroup,
                control: ours,
                slot: place.slot,
                hostInitUser: ids.hostUser(place.slot.initID),
                hostJobUser: ids.hostUser(place.slot.jobID),
                hostJobGroup: ids.hostGroup(place.slot.jobID),
                ownTasks: place.ownTasks,
                container: place.container
            )
        } catch {
            throw .host(doing: "asking the container for a sandbox", error)
        }
    }

    private func sendTemplate(
        _ control: Descriptor,
        _ request: RunRequest,
        _ slot: SubordinateIDs.Slot
    ) throws(Errno) {
        let cpus = PlanMessage.cpus(for: request.policy.limits, slot: slot).count
        let files = SyntheticProc.containerFiles(cpus: cpus)
        var template = sbx_template()
        template.layers = layers.bits
        template.synthetic_count = UInt32(files.count)
        try Channel.sendOnce(control, SBX_TEMPLATE, template, trailing: [])
        for file in files {
            try Channel.sendOnce(
                control,
                SBX_SYNTHETIC,
                PlanMessage.synthetic(file.name),
                trailing: file.content
            )
        }
        let (prepare, masked) = PlanMessage.prepare(layers)
        try Channel.sendOnce(control, SBX_PREPARE, prepare, trailing: masked)
    }

    // MARK: Errors

    /// Makes a failed call a failed step. After one that tells against the engine it is probed anew.
    func asking<Value>(
        _ body: () async throws(DockerError) -> Value
    ) async throws(SpawnError) -> Value {
        do throws(DockerError) {
            return try await body()
        } catch {
            if error.blamesEngine {
                probed = nil
                circuit.failed("\(error)")
            }
            throw .engine(step: "docker \(error.call.rawValue)", reason: "\(error)")
        }
    }
}
