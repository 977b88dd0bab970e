// SPDX-License-Identifier: Apache-2.0
internal import FoundationEssentials
internal import Policy
internal import Spawner

/// The body of `POST /v1/runs`: what a caller asks for.
struct RunSpec: Decodable, Sendable {
    private static let keys = [
        "argv", "stdin", "stdin_base64", "stdin_stream", "env", "files", "limits",
        "cwd", "artifacts", "engine", "allow", "secrets", "explain",
    ]
    /// What only a direct run has. A task's profile, budget and key are the queue's, which has asked
    /// approvals, budgets and canaries about them, and it would find another image than was meant.
    private static let directKeys = ["profile", "budget", "key", "image"]
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
        guard let profile = try outside ?? body.value("profile") else {
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
        let digest: String? = try body.value("stdin_sha256")
        guard digest == nil || (text == nil && encoded == nil && !isStreamed) else {
            // What is read and approved must be what runs.
            throw APIError.invalid("'stdin_sha256' stands alone: it is the whole standard input")
        }
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
