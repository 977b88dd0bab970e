// SPDX-License-Identifier: Apache-2.0
internal import HTTPTypes
internal import Images
internal import Policy
internal import Tasks

/// Why a request is refused. Nothing was made.
enum APIError: Error, CustomStringConvertible {
    /// The body is not what the API takes; the text names the key.
    case invalid(String)
    case unknownProfile(String, known: [String])
    case policy(PolicyError)
    case image(ImageError)
    /// A secret cannot be given; what it is is not said.
    case secret(SecretDirectory.Refusal)
    /// The profile does not run on the engine that was asked for.
    case noEngine(profile: String, wanted: EngineKind, allowed: [EngineKind])
    /// None of the engines that the profile runs on is there and works.
    case engineUnavailable(profile: String, reasons: [String])
    case notAdmitted(Admission.Refusal)
    case tooLarge(limitBytes: Int)
    case noArtifact(String)
    case noTask(String)
    case noAttempt(String)
    /// A run of this profile needs a person's word, which only a task can wait for.
    case needsApproval(profile: String)
    /// The queue's refusal, or why it cannot be used.
    case tasks(TaskError)
    /// A run of the same key has not ended.
    case runsAlready(task: Int)
    /// A run of the same key has ended, and nobody knows how.
    case runLost(task: Int, verdict: String)
    /// The disk is too full for anything new.
    case diskFull(usedPercent: Int, limit: Int)
    /// This daemon was started without a database.
    case noDatabase

    /// Its HTTP status.
    var status: HTTPResponse.Status {
        switch self {
        case .invalid, .policy, .noEngine: .badRequest
        case .unknownProfile, .noArtifact, .noTask, .noAttempt: .notFound
        case .secret, .image, .engineUnavailable, .noDatabase, .diskFull: .serviceUnavailable
        case .runsAlready, .runLost: .conflict
        case .needsApproval: .forbidden
        case .tasks(let error): Self.status(error)
        case .notAdmitted(.stopping): .serviceUnavailable
        case .notAdmitted(.neverFits): .badRequest
        case .notAdmitted: .tooManyRequests
        case .tooLarge: .contentTooLarge
        }
    }

    /// A word for programs.
    var code: String {
        switch self {
        case .invalid: "invalid_request"
        case .unknownProfile: "unknown_profile"
        case .policy: "loosening"
        case .image: "image"
        case .secret: "secret"
        case .noEngine: "wrong_engine"
        case .engineUnavailable: "engine"
        case .notAdmitted(.stopping): "stopping"
        case .notAdmitted(.neverFits): "never_fits"
        case .notAdmitted: "memory"
        case .tooLarge: "too_large"
        case .noArtifact: "no_artifact"
        case .noTask: "no_task"
        case .noAttempt: "no_attempt"
        case .needsApproval: "approval"
        case .runsAlready: "runs_already"
        case .runLost: "run_lost"
        case .noDatabase: "no_database"
        case .diskFull: "disk"
        case .tasks(let error): Self.code(error)
        }
    }

    /// Seconds after which it may work, when time helps.
    var retryAfterSeconds: Int? {
        switch self {
        case .notAdmitted(.memory): 1
        case .engineUnavailable: 5
        case .notAdmitted(.stopping), .tasks(.unavailable): 5
        case .tasks(.exhausted), .diskFull: 60
        default: nil
        }
    }

    var description: String {
        switch self {
        case .invalid(let why): why
        case .unknownProfile(let name, let known):
            "there is no profile '\(name)' (known: \(known.joined(separator: ", ")))"
        case .policy(let error): "\(error)"
        case .image(let error): "\(error)"
        case .secret(let error): "\(error)"
        case .noEngine(let profile, let wanted, let allowed):
            "profile '\(profile)' does not run on the engine \(wanted.rawValue): it allows "
                + allowed.map(\.rawValue).joined(separator: ", ")
        case .engineUnavailable(let profile, let reasons):
            "no engine of profile '\(profile)' can be used now: "
                + reasons.joined(separator: "; ")
        case .notAdmitted(let refusal): "\(refusal)"
        case .tooLarge(let limit): "the body is larger than \(limit) bytes"
        case .noArtifact(let digest): "there is no artifact with sha256 '\(digest)'"
        case .noTask(let name): "there is no task '\(name)'"
        case .noAttempt(let id):
            "there is no attempt '\(id.prefix(64))' that has ended and is still kept"
        case .needsApproval(let profile):
            "profile '\(profile)' needs an approval for this: queue it (sandboxd submit), and have "
                + "it approved (sandboxd approvals)"
        case .tasks(let error): "\(error)"
        case .runsAlready(let task): "a run of this key has not ended yet: it is task \(task)"
        case .runLost(let task, let verdict):
            "the run of this key was task \(task), which ended as \(verdict) and left no report: it "
                + "may have run in part; ask under another key to have it run again"
        case .diskFull(let used, let limit):
            "the disk is \(used) % full, and from \(limit) % on nothing new is taken"
        case .noDatabase: "this daemon was started without a database (--database none)"
        }
    }

    private static func status(_ error: TaskError) -> HTTPResponse.Status {
        switch error {
        case .unknownProfile, .unknownBudget: .notFound
        case .malformed: .badRequest
        case .keyTaken, .decided: .conflict
        case .needsApproval: .forbidden
        case .exhausted: .tooManyRequests
        case .workerOver, .unavailable, .schema, .database: .serviceUnavailable
        }
    }

    private static func code(_ error: TaskError) -> String {
        switch error {
        case .unknownProfile: "unknown_profile"
        case .unknownBudget: "unknown_budget"
        case .malformed: "invalid_request"
        case .keyTaken: "key_taken"
        case .needsApproval: "approval"
        case .decided: "decided"
        case .exhausted: "budget"
        case .workerOver, .unavailable, .schema, .database: "database"
        }
    }

    /// A policy's refusal as the API's.
    static func refusing<Value>(
        _ body: () throws(PolicyError) -> Value
    ) throws(APIError) -> Value {
        do throws(PolicyError) { return try body() } catch { throw .policy(error) }
    }

    /// An image's refusal as the API's.
    static func refusing<Value>(
        _ body: () throws(ImageError) -> Value
    ) throws(APIError) -> Value {
        do throws(ImageError) { return try body() } catch { throw .image(error) }
    }
}
