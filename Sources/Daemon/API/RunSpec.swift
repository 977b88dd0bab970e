// SPDX-License-Identifier: Apache-2.0
internal import CChannel
internal import FoundationEssentials
internal import Policy
internal import Spawner

/// The body of `POST /v1/runs`: what a caller asks for.
struct RunSpec: Decodable, Sendable {
    private static let keys = [
        "profile", "argv", "stdin", "stdin_base64", "stdin_stream", "env", "files", "limits",
        "cwd", "artifacts", "budget", "key", "engine", "allow",
        "secrets", "explain",
    ]
    /// What only a direct run has: a task would find another image than was meant.
    private static let directKeys = ["image"]
    /// What only the queue writes: inputs that it keeps apart.
    private static let queueKeys = ["stdin_sha256"]

    var profile: String
    var argv: [String]
    var input: StandardInput
    var environment: [String: String]
    var files: [FileSpec]
    var limits: LimitsSpec
    var workingDirectory: String?
    var collectsArtifacts: Bool
    /// Names the standard input among the queue's blobs.
    var inputDigest: String?
    /// The engine to run on; nil is the profile's choice.
    var engine: EngineKind?
    /// What it wants to reach beside what its profile says.
    var allow: [EgressRule]
    /// Secrets that it wants to be given.
    var secrets: [SecretSpec]
    /// Which system calls the answer tells of.
    var witness: Witness
    /// The digest of an image to try; nil is the profile's.
    var image: String?
    /// Who pays; nil is the default budget.
    var budget: String?
    /// The caller's name for this run: asked for again, it is not done again.
    var key: String?

    init(from decoder: any Decoder) throws {
        // A task's profile is beside its spec.
        let outside = decoder.userInfo[.profile] as? String
        let body = try decoder.strictContainer(
            "a run",
            Self.keys + (outside == nil ? Self.directKeys : Self.queueKeys)
        )
        guard let profile: String = try body.value("profile") ?? outside else {
            throw APIError.invalid("'profile' is missing")
        }
        guard let argv: [String] = try body.value("argv") else {
            throw APIError.invalid("'argv' is missing")
        }
        self.profile = profile
        self.argv = argv
        input = try Self.input(body)
        environment = try body.value("env") ?? [:]
        files = try body.value("files") ?? []
        limits = try body.value("limits") ?? LimitsSpec()
        workingDirectory = try body.value("cwd")
        collectsArtifacts = try body.value("artifacts") ?? true
        if let name: String = try body.value("engine") {
            guard let engine = EngineKind(rawValue: name) else {
                let known = EngineKind.allCases.map(\.rawValue).joined(separator: ", ")
                throw APIError.invalid("'engine' is '\(name)': there are \(known)")
            }
            self.engine = engine
        }
        let places: [String] = try body.value("allow") ?? []
        allow = try places.map { place in
            do { return try EgressRule(place) } catch {
                throw APIError.invalid("'allow': \(error)")
            }
        }
        secrets = try body.value("secrets") ?? []
        try SecretSpec.check(secrets)
        witness = try Self.witness(body)
        budget = try body.value("budget")
        key = try body.value("key")
        inputDigest = try body.value("stdin_sha256")
        image = try body.value("image")
        guard image == nil || key == nil else {
            throw APIError.invalid(
                "'image' and 'key' exclude each other: what was tried before tells nothing of now"
            )
        }
    }

    private static func witness(
        _ body: KeyedDecodingContainer<AnyKey>
    ) throws -> Witness {
        let text: String? = try body.value("explain")
        switch text {
        case nil: return .none
        case "denied": return .denied
        case "all": return .all
        case let other?:
            throw APIError.invalid("'explain' is '\(other)': there are denied and all")
        }
    }

    private static func input(
        _ body: KeyedDecodingContainer<AnyKey>
    ) throws -> StandardInput {
        let text: String? = try body.value("stdin")
        let encoded: String? = try body.value("stdin_base64")
        let isStreamed: Bool = try body.value("stdin_stream") ?? false
        switch (text, encoded, isStreamed) {
        case (nil, nil, false): return .empty
        case (let text?, nil, false): return .bytes(Array(text.utf8))
        case (nil, let encoded?, false):
            return .bytes(try Base64.decode(encoded, key: "stdin_base64"))
        case (nil, nil, true): return .streamed
        default:
            throw APIError.invalid(
                "give one of 'stdin', 'stdin_base64' and 'stdin_stream', not several"
            )
        }
    }

    /// Checks everything that does not need the kernel, and makes a request of it.
    func request(
        attempt: AttemptID,
        policy: Policy,
        image: RootImage,
        isLive: Bool
    ) throws(APIError) -> RunRequest {
        guard let program = argv.first, !program.isEmpty else {
            throw .invalid("'argv' is empty: say what to run")
        }
        for text in argv + environment.keys + environment.values + [workingDirectory ?? ""] {
            guard !text.utf8.contains(0) else {
                throw .invalid("a string of 'argv', 'env' or 'cwd' contains a NUL byte")
            }
        }
        for name in environment.keys where name.isEmpty || name.contains("=") {
            throw .invalid("'env' has the name '\(name)': a name is not empty and has no '='")
        }
        let merged = policy.environment.merging(environment) { $1 }
        try checkStrings(merged)
        var inputs: [InputFile] = []
        for file in files { inputs.append(try file.inputFile()) }
        try Self.checkDistinct(inputs.map(\.path))
        var bytes = inputs.reduce(0) { $0 + $1.content.count }
        if case .bytes(let content) = input { bytes += content.count }
        guard bytes <= policy.limits.inputBytes else {
            throw .invalid(
                "the input is \(bytes) bytes, and the profile takes \(policy.limits.inputBytes)"
            )
        }
        if let directory = workingDirectory, !directory.hasPrefix("/") {
            throw .invalid("'cwd' is '\(directory)': give an absolute path in the sandbox")
        }
        guard witness == .none || policy.syscalls.canBeWitnessed else {
            throw .invalid(
                "profile '\(policy.name)' does not let sendmsg through, which 'explain' needs"
            )
        }
        var request = RunRequest(
            attempt: attempt,
            policy: policy,
            image: image,
            arguments: argv,
            environment: merged,
            workingDirectory: workingDirectory,
            files: inputs,
            input: input,
            collectsArtifacts: collectsArtifacts,
            isLive: isLive
        )
        request.witness = witness
        return request
    }

    /// No file is there twice, or below another.
    private static func checkDistinct(_ paths: [[UInt8]]) throws(APIError) {
        let known = Set(paths)
        guard known.count == paths.count else {
            throw .invalid("'files' has two files of the same path: give each its own")
        }
        for path in paths {
            for (index, byte) in path.enumerated() where byte == UInt8(ascii: "/") {
                guard known.contains(Array(path[..<index])) else { continue }
                let (below, above) = (
                    String(decoding: path, as: UTF8.self),
                    String(decoding: path[..<index], as: UTF8.self)
                )
                throw .invalid("file '\(below)' is below '\(above)', which is a file too")
            }
        }
    }

    private func checkStrings(_ environment: [String: String]) throws(APIError) {
        let count = max(argv.count, environment.count)
        guard count <= Int(SBX_STRINGS_COUNT_MAX) else {
            throw .invalid("'argv' or 'env' has more than \(SBX_STRINGS_COUNT_MAX) entries")
        }
        let bytes =
            argv.reduce(0) { $0 + $1.utf8.count + 1 }
            + environment.reduce(0) { $0 + $1.key.utf8.count + $1.value.utf8.count + 2 }
        guard bytes + 4096 <= Int(SBX_STRINGS_MAX) else {
            throw .invalid(
                "'argv' and 'env' are \(bytes) bytes together, and \(SBX_STRINGS_MAX - 4096) fit: "
                    + "put data into 'files' or standard input"
            )
        }
    }
}

/// One input file of a run.
struct FileSpec: Decodable, Sendable {
    private static let keys = ["path", "text", "base64", "mode"]
    private static let queueKeys = ["sha256"]

    var path: String
    var content: [UInt8]
    var mode: UInt32
    /// Names the content among the queue's blobs.
    var digest: String?

    init(from decoder: any Decoder) throws {
        let isTask = decoder.userInfo[.profile] != nil
        let body = try decoder.strictContainer(
            "a file",
            isTask ? Self.keys + Self.queueKeys : Self.keys
        )
        guard let path: String = try body.value("path") else {
            throw APIError.invalid("a file has no 'path'")
        }
        self.path = path
        mode = try body.number("mode") ?? 0o644
        let text: String? = try body.value("text")
        let encoded: String? = try body.value("base64")
        digest = try body.value("sha256")
        switch (text, encoded) {
        case (nil, nil) where digest != nil: content = []
        case (let text?, nil): content = Array(text.utf8)
        case (nil, let encoded?): content = try Base64.decode(encoded, key: "file '\(path)'")
        default: throw APIError.invalid("file '\(path)' needs one of 'text' and 'base64'")
        }
    }

    /// Checked: below the workspace, by a plain name.
    func inputFile() throws(APIError) -> InputFile {
        func refuse(_ why: String) -> APIError {
            .invalid("file '\(path)': \(why); give a path below the workspace, like 'data/in.csv'")
        }
        guard !path.isEmpty else { throw refuse("the name is empty") }
        guard !path.hasPrefix("/") else { throw refuse("the name is absolute") }
        guard !path.utf8.contains(0) else { throw refuse("the name contains a NUL byte") }
        guard path != "out", path != ".tmp" else {
            throw refuse("the workspace has a directory of this name")
        }
        guard path.utf8.count < Int(SBX_PATH_MAX) else {
            throw .invalid(
                "a file's name has \(path.utf8.count) bytes, and \(SBX_PATH_MAX - 1) fit"
            )
        }
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        for part in parts {
            guard !part.isEmpty else { throw refuse("the name has an empty part") }
            guard part != "..", part != "." else { throw refuse("the name contains '\(part)'") }
            guard part.utf8.count <= 255 else { throw refuse("a part has more than 255 bytes") }
        }
        guard mode <= 0o777 else { throw refuse("the mode \(mode) is none") }
        return InputFile(path: Array(path.utf8), content: content, mode: mode)
    }
}

/// Limits that a run asks for, below its profile's.
struct LimitsSpec: Decodable, Sendable {
    private static let keys = [
        "memory_bytes", "swap_bytes", "pids", "cpu_millicores", "cpu_time_ms", "wall_time_ms",
        "workspace_bytes", "workspace_inodes", "shared_memory_bytes", "output_bytes",
        "output_total_bytes", "artifact_bytes", "artifact_count", "open_files",
    ]

    var tightening = Tightening()

    init() {}

    init(from decoder: any Decoder) throws {
        let body = try decoder.strictContainer("'limits'", Self.keys)
        func milliseconds(_ name: String) throws -> Duration? {
            let count: UInt64? = try body.number(name)
            return count.map { .milliseconds(Int64(clamping: $0)) }
        }
        tightening.memoryBytes = try body.number("memory_bytes")
        tightening.swapBytes = try body.number("swap_bytes")
        tightening.pids = try body.number("pids")
        tightening.cpuMillicores = try body.number("cpu_millicores")
        tightening.cpuTime = try milliseconds("cpu_time_ms")
        tightening.wallTime = try milliseconds("wall_time_ms")
        tightening.workspaceBytes = try body.number("workspace_bytes")
        tightening.workspaceInodes = try body.number("workspace_inodes")
        tightening.sharedMemoryBytes = try body.number("shared_memory_bytes")
        tightening.outputBytes = try body.number("output_bytes")
        tightening.outputTotalBytes = try body.number("output_total_bytes")
        tightening.artifactBytes = try body.number("artifact_bytes")
        tightening.artifactCount = try body.number("artifact_count")
        tightening.openFiles = try body.number("open_files")
    }
}

/// Base64, strictly.
enum Base64 {
    static func decode(_ text: String, key: String) throws(APIError) -> [UInt8] {
        guard let data = Data(base64Encoded: text) else {
            throw .invalid("\(key) is not valid base64")
        }
        return Array(data)
    }

    static func encode(_ bytes: [UInt8]) -> String {
        Data(bytes).base64EncodedString()
    }
}

extension CodingUserInfoKey {
    /// The profile of a spec that does not name its own.
    static let profile: CodingUserInfoKey = {
        guard let key = CodingUserInfoKey(rawValue: "profile") else {
            preconditionFailure("a name is a name")
        }
        return key
    }()
}
