// SPDX-License-Identifier: Apache-2.0
package import JSON

/// Containers: made, started, looked at.
///
/// `container` is a name or an id everywhere. What is no name is refused before anything is sent.
extension DockerClient {
    /// Makes a container; `body` is the API's create body, checked by whoever composed it.
    ///
    /// Throws `nameTaken` when one of this name is there. Whatever else it throws after the request
    /// was sent, a container may have come of it: remove it by its name.
    package func create(
        name: String,
        body: JSONValue,
        limits: CallLimits = .change
    ) async throws(DockerError) -> CreatedContainer {
        try ContainerName.check(name, .create)
        let budget = CallBudget(.create, limits)
        var request = EngineRequest(
            .create,
            .post,
            RequestPath("/containers/create").with("name", name).text,
            limits: limits
        )
        request.body = .json(body)
        let answer: EngineAnswer
        do throws(DockerError) {
            answer = try await ask(request)
        } catch {
            guard case .answered(let status, let message) = error.reason,
                status == 409 || status == 500, await isThere(name, budget)
            else { throw error }
            throw DockerError(.create, .nameTaken(name, said: message))
        }
        return try Self.reading(.create) { () throws(DockerError.Reason) in
            try CreatedContainer(Reading(answer))
        }
    }

    /// Docker says 409 to a name that is taken; Podman 4 says 500, so the name is looked up.
    private func isThere(_ name: String, _ budget: CallBudget) async -> Bool {
        do throws(DockerError) {
            return try await inspect(name, limits: try budget.rest()) != nil
        } catch {
            // The first error is the one that tells.
            return false
        }
    }

    /// Starts a container. One that runs is left alone.
    package func start(
        _ container: String,
        limits: CallLimits = .change
    ) async throws(DockerError) {
        try ContainerName.check(container, .start)
        let request = EngineRequest(
            .start,
            .post,
            RequestPath("/containers/", container, "/start").text,
            limits: limits
        )
        _ = try await ask(request.accepting(304))
    }

    /// Looks at a container; nil when there is none.
    package func inspect(
        _ container: String,
        limits: CallLimits = .question
    ) async throws(DockerError) -> Container? {
        try ContainerName.check(container, .inspect)
        let request = EngineRequest(
            .inspect,
            .get,
            RequestPath("/containers/", container, "/json").text,
            limits: limits
        )
        let answer = try await ask(request.accepting(404))
        guard answer.status != 404 else { return nil }
        return try Self.reading(.inspect) { () throws(DockerError.Reason) in
            try Container(Reading(answer))
        }
    }

    /// All containers, running or not, that have all of these labels. They are looked for again in
    /// the answer: an engine that passes over the filter must not make others' containers ours.
    package func list(
        labels: [String: String],
        limits: CallLimits = .question
    ) async throws(DockerError) -> [ContainerSummary] {
        let filters = try LabelFilter.parameter(labels, .list)
        let request = EngineRequest(
            .list,
            .get,
            RequestPath("/containers/json").with("all", "1").with("filters", filters).text,
            limits: limits
        )
        let answer = try await ask(request)
        return try Self.reading(.list) { () throws(DockerError.Reason) in
            var summaries: [ContainerSummary] = []
            for reading in try Reading.all(answer) { summaries.append(try .init(reading)) }
            return summaries.filter { LabelFilter.matches(labels, $0.labels) }
        }
    }
}
