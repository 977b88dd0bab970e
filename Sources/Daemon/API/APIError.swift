// SPDX-License-Identifier: Apache-2.0
internal import HTTPTypes
internal import Images
internal import Policy

/// Why a request is refused. Nothing was made.
enum APIError: Error, CustomStringConvertible {
    /// The body is not what the API takes; the text names the key.
    case invalid(String)
    case unknownProfile(String, known: [String])
    case policy(PolicyError)
    case image(ImageError)
    case noEngine(profile: String, wanted: [EngineKind])
    case notAdmitted(Admission.Refusal)
    case tooLarge(limitBytes: Int)
    case noArtifact(String)

    /// Its HTTP status.
    var status: HTTPResponse.Status {
        switch self {
        case .invalid, .policy: .badRequest
        case .unknownProfile, .noArtifact: .notFound
        case .image, .noEngine: .serviceUnavailable
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
        case .noEngine: "engine"
        case .notAdmitted(.stopping): "stopping"
        case .notAdmitted(.neverFits): "never_fits"
        case .notAdmitted: "memory"
        case .tooLarge: "too_large"
        case .noArtifact: "no_artifact"
        }
    }

    /// Seconds after which it may work, when time helps.
    var retryAfterSeconds: Int? {
        switch self {
        case .notAdmitted(.memory): 1
        case .notAdmitted(.stopping): 5
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
        case .noEngine(let profile, let wanted):
            "profile '\(profile)' runs on \(wanted.map(\.rawValue).joined(separator: ", ")) only, "
                + "and this daemon has the engine native"
        case .notAdmitted(let refusal): "\(refusal)"
        case .tooLarge(let limit): "the body is larger than \(limit) bytes"
        case .noArtifact(let digest): "there is no artifact with sha256 '\(digest)'"
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
