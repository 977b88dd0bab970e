// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import DockerAPI
internal import Egress
internal import Policy
internal import Spawner

/// The options of `sandboxd serve`.
struct ServeOptions: ParsableArguments {
    @Option(help: "The API's Unix socket. Default: $SANDBOXD_SOCKET, else STATE/sandboxd.sock.")
    var socket: String?

    @Option(
        help: """
            The daemon's own directory; one daemon each. Default: /var/lib/sandboxd/state when it \
            is ours, else $XDG_STATE_HOME/sandboxd.
            """
    )
    var state: String?

    @Option(help: "The directory with the profiles. Default: beside the program, or /etc/sandboxd.")
    var profiles: String?

    @Option(help: "The directory with the images. Default: see 'sandboxd image --help'.")
    var images: String?

    @Option(help: "The sandboxes' process 1. Default: 'sandboxd-init' beside the program.")
    var initProgram: String?

    @Option(
        help: """
            Memory that sandboxes may reserve together, in MiB. Default: four fifths of the \
            machine's.
            """
    )
    var memory: UInt64?

    @Option(help: "Sandboxes to make ahead of their runs, for each image. Each is used once.")
    var spares = 1

    @Option(
        help: """
            Where tasks and budgets are kept: a PostgreSQL connection string, 'embedded' for a \
            private one in the state directory, or 'none'. Default: $SANDBOXD_DATABASE, else \
            embedded.
            """
    )
    var database: String?

    @Flag(help: "Bring an external database's schema up to date, also while other nodes use it.")
    var migrate = false

    @Option(help: "Seconds that this node may be silent before its tasks are somebody else's.")
    var leaseTime = 20.0

    @Option(
        help: """
            How full the state directory's disk may be, in percent, before nothing new is taken; \
            5 below that, it is taken again.
            """
    )
    var diskLimit = 85

    @Option(help: "Days that ended tasks, their attempts and artifacts are kept.")
    var keepDays = 30

    @Option(
        help: """
            The socket of a rootless Docker or Podman, as unix:///PATH, or 'none'. Default: \
            $DOCKER_HOST, else none.
            """
    )
    var docker: String?

    @Option(help: "Seconds that a call of the container engine may take.")
    var dockerTimeout = 30.0

    @Flag(
        inversion: .prefixedNo,
        help: """
            Use a container engine that runs as root, too. Whoever escapes from a container of its \
            is root; 'sandboxd status' keeps saying so.
            """
    )
    var allowRootful = false

    @Option(
        name: .customLong("egress-to"),
        help: """
            Addresses of no public network, like 10.1.2.0/24, or a name with the one that it \
            stands for, like site.example=10.1.2.3, that runs may reach all the same, when they \
            are allowed to; can be repeated. Runs reach no others of that kind.
            """
    )
    var reachable: [String] = []

    @Option(
        help: """
            A directory with secrets that runs may be given, a file each, which only the daemon's \
            user can read. Default: $CREDENTIALS_DIRECTORY, else none.
            """
    )
    var secrets: String?

    @Option(
        help: """
            A file with certificates of authorities, in PEM, to trust beside the machine's where the \
            proxy speaks TLS for a run: to https:// places of secrets.
            """
    )
    var egressCA: String?

    @Flag(help: "Log every run.")
    var verbose = false

    #if DEBUG
        @Option(
            help: """
                For control runs of the containment tests, and in debug builds only: make sandboxes \
                WITHOUT these layers, separated by commas.
                """
        )
        var insecureWithout: String?
    #endif

    func validate() throws {
        if let memory, memory < 16 || memory > 1 << 30 {
            throw ValidationError("--memory is \(memory): give MiB between 16 and 1073741824")
        }
        guard (0...64).contains(spares) else {
            throw ValidationError("--spares is \(spares): give a number between 0 and 64")
        }
        guard (2...600).contains(leaseTime) else {
            throw ValidationError("--lease-time is \(leaseTime): give seconds between 2 and 600")
        }
        guard (0.1...600).contains(dockerTimeout) else {
            throw ValidationError(
                "--docker-timeout is \(dockerTimeout): give seconds between 0.1 and 600"
            )
        }
        guard (1...3650).contains(keepDays) else {
            throw ValidationError("--keep-days is \(keepDays): give days from 1 to 3650")
        }
        guard (1...100).contains(diskLimit) else {
            throw ValidationError("--disk-limit is \(diskLimit): give percent from 1 to 100")
        }
        _ = try missingLayers()
        _ = try exceptions()
        _ = try serverTLS()
    }

    private func serverTLS() throws -> ServerTLS {
        do throws(ServerTLS.Refusal) { return try ServerTLS(authorities: egressCA) } catch {
            throw ValidationError("--egress-ca: \(error)")
        }
    }

    private func exceptions() throws -> [EgressException] {
        try reachable.map { text in
            guard let exception = EgressException(text) else {
                throw ValidationError(
                    "--egress-to is '\(text)': give ADDRESS, ADDRESS/BITS or NAME=ADDRESS"
                )
            }
            return exception
        }
    }

    /// The layers that a control run leaves out; none in a release build.
    private func missingLayers() throws -> [Layer] {
        #if DEBUG
            return try (insecureWithout ?? "").split(separator: ",").map { name in
                guard let layer = Layer(rawValue: String(name)) else {
                    let known = Layer.allCases.map(\.rawValue).joined(separator: ", ")
                    throw ValidationError(
                        "--insecure-without: no layer '\(name)' (known: \(known))"
                    )
                }
                return layer
            }
        #else
            return []
        #endif
    }

    private func dockerAddress() throws -> EngineAddress? {
        switch docker {
        case "none": return nil
        case let text?: return try EngineAddress(text, from: "--docker")
        case nil: return try EngineAddress.fromEnvironment()
        }
    }

    /// The same with every default filled in.
    func configuration() throws -> Configuration {
        let place = Place.find()
        let state = state ?? place.state
        return Configuration(
            socket: socket ?? Place.environment("SANDBOXD_SOCKET") ?? state + "/sandboxd.sock",
            state: state,
            profiles: profiles ?? place.profiles,
            images: images,
            initProgram: initProgram ?? place.initProgram,
            memoryBytes: memory.map { $0 << 20 } ?? place.memoryBytes / 5 * 4,
            spares: spares,
            database: try DatabaseChoice(
                option: database,
                variable: Place.environment("SANDBOXD_DATABASE")
            ),
            migrates: migrate,
            leaseTime: .seconds(leaseTime),
            diskLimitPercent: diskLimit,
            keepDays: keepDays,
            docker: try dockerAddress(),
            dockerTimeout: .seconds(dockerTimeout),
            allowsRootful: allowRootful,
            reachable: try exceptions(),
            secrets: SecretDirectory(
                path: secrets ?? Place.environment("CREDENTIALS_DIRECTORY"),
                isFromSystemd: secrets == nil
            ),
            tls: try serverTLS(),
            isVerbose: verbose,
            missingLayers: try missingLayers()
        )
    }
}

/// What a daemon is started with.
struct Configuration: Sendable {
    var socket: String
    var state: String
    var profiles: String
    /// nil: the image store's own default.
    var images: String?
    var initProgram: String
    /// What sandboxes may reserve together.
    var memoryBytes: UInt64
    /// Sandboxes to make ahead, for each image.
    var spares: Int
    var database: DatabaseChoice
    /// Whether an external database is migrated while other nodes use it.
    var migrates: Bool
    /// How long this node's leases last without a heartbeat.
    var leaseTime: Duration
    /// How full the disk may be.
    var diskLimitPercent: Int
    /// How long what has ended is kept.
    var keepDays: Int
    /// Where a container engine listens; nil is none.
    var docker: EngineAddress?
    /// How long a call of it may take.
    var dockerTimeout: Duration
    /// Whether that engine may run as root.
    var allowsRootful: Bool
    /// Addresses of no public network that runs may reach.
    var reachable: [EgressException]
    /// Where secrets for runs are.
    var secrets: SecretDirectory
    /// Whom the proxy trusts where it speaks TLS.
    var tls: ServerTLS
    var isVerbose: Bool
    /// Layers to leave out. Never set but in control runs.
    var missingLayers: [Layer]
}
