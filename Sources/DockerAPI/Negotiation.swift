// SPDX-License-Identifier: Apache-2.0
internal import JSON

/// What was agreed on with an engine.
package struct Agreement: Sendable, Hashable {
    /// The version that calls are made in.
    package let version: APIVersion
    /// The newest that the engine speaks, as it writes it.
    let engineVersion: String
}

extension DockerClient {
    /// Agrees on the API's version with whoever answers, unless that is done.
    ///
    /// Throws `notAnEngine`, `tooOld` or `tooNew` when there is nothing to agree on.
    @discardableResult
    package func agree(
        within limits: CallLimits = .question
    ) async throws(DockerError) -> Agreement {
        if let agreement { return agreement }
        let budget = CallBudget(.version, limits)
        let pinged = try await ping(limits)
        let request = EngineRequest(.version, .get, "/version", limits: try budget.rest())
        let answer: EngineAnswer
        do throws(DockerError) {
            answer = try await exchange(request, path: request.path)
        } catch {
            throw budget.whole(error)
        }
        let agreed = try Self.agreement(pinged: pinged, answer)
        agreement = agreed
        return agreed
    }

    /// Asks whether an engine is there: what it answers is not believed, but that it does.
    private func ping(_ limits: CallLimits) async throws(DockerError) -> EngineAnswer {
        let request = EngineRequest(.ping, .get, "/_ping", limits: limits)
        let answer = try await exchange(request, path: request.path)
        guard answer.header.apiVersion != nil else {
            throw DockerError(
                .ping,
                .notAnEngine("it answered \(answer.status) to /_ping, without an API version")
            )
        }
        guard answer.status == 200 else {
            throw DockerError(
                .ping,
                .answered(status: answer.status, Self.message(in: answer, nil))
            )
        }
        return answer
    }

    private static func agreement(
        pinged: EngineAnswer,
        _ answer: EngineAnswer
    ) throws(DockerError) -> Agreement {
        do throws(DockerError.Reason) {
            let engine = try EngineVersion(Reading(answer))
            return Agreement(
                version: try .agreed(newest: engine.apiVersion, oldest: engine.oldestAPIVersion),
                engineVersion: pinged.header.apiVersion ?? engine.apiVersion.description
            )
        } catch {
            guard case .unreadable(let what) = error else { throw DockerError(.version, error) }
            throw DockerError(.version, .notAnEngine("of its version, \(what)"))
        }
    }
}
